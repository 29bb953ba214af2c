"""What all our lists have in common: people read them, and only actions change anything."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from .paginator import CappedPaginator


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django: not subscriptable at run time
    """Rows that only this package's own code writes; cheap to list however many there are."""

    paginator = CappedPaginator
    show_full_result_count = False
    sortable_by = ()  # newest first; sorting by a column without an index reads the whole table
    if hasattr(admin, "ShowFacets"):  # Django 5.0
        show_facets = admin.ShowFacets.NEVER  # each facet is a count of the whole table

    class Media:
        """The look of statuses, payloads and tables."""

        css = {"all": ("kafka_integration/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: rows come from publishing and consuming."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: what was published or received is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: nothing unsent is ever deleted; discarding leaves a trace."""
        return False
