"""Retrospectives in the admin: edited in forms, moved along by actions."""

from __future__ import annotations

from django.contrib import admin

from mediajira.verbs import SavesWhatChanged, verb

from .models import Retrospective


@admin.register(Retrospective)
class RetrospectiveAdmin(SavesWhatChanged):
    """Retrospectives; the status changes by actions only."""

    list_display = ("__str__", "campaign", "status", "owner", "created_at", "completed_at")
    list_filter = ("status", "created_at", "owner")
    list_select_related = ("campaign", "owner")
    search_fields = ("campaign__name", "summary", "owner__username")
    date_hierarchy = "created_at"
    autocomplete_fields = ("campaign", "owner")
    readonly_fields = ("status", "created_at", "updated_at", "completed_at")
    fields = ("campaign", "owner", "summary", *readonly_fields)
    actions = (verb("start", "Start"), verb("complete", "Complete"))
