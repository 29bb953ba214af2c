"""Filters of the lists whose choices are found without reading the whole table."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from ..models import EventStatus


class EventStatusFilter(admin.SimpleListFilter):
    """Pending, held, sent or discarded."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return every status."""
        return [(status.value, str(status.label)) for status in EventStatus]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the events in the chosen status."""
        chosen = self.value()
        if chosen not in EventStatus.values:
            return queryset
        return queryset.in_status(chosen)  # type: ignore[attr-defined,no-any-return]  # OutboxEventQuerySet


class TopicFilter(admin.SimpleListFilter):
    """The topics that the table has."""

    title = "topic"
    parameter_name = "topic"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return every topic in the table, declared in code or not."""
        return [(topic, topic) for topic in model_admin.get_queryset(request).topics()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the chosen topic."""
        return queryset.filter(topic=self.value()) if self.value() else queryset


class GroupFilter(admin.SimpleListFilter):
    """The consumer groups that the table has."""

    title = "group"
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return every group in the table, with a handler today or not."""
        return [(group, group) for group in model_admin.get_queryset(request).groups()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the chosen group."""
        return queryset.filter(group=self.value()) if self.value() else queryset
