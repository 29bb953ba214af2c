"""Assets in the admin: edited in forms, moved along by actions."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from mediajira.verbs import SavesWhatChanged, verb

from .models import Asset


@admin.register(Asset)
class AssetAdmin(SavesWhatChanged):
    """Assets; the status changes by actions only, and the campaign not at all."""

    list_display = ("name", "version", "status", "campaign", "owner", "updated_at")
    list_filter = ("status", "created_at", "owner")
    list_select_related = ("campaign", "owner")
    search_fields = ("name", "url", "campaign__name", "=id")
    date_hierarchy = "created_at"
    autocomplete_fields = ("campaign", "owner")
    readonly_fields = ("id", "version", "status", "created_at", "updated_at")
    fields = ("name", "campaign", "url", "owner", *readonly_fields)
    actions = (
        verb("submit", "Submit for review"),
        verb("approve", "Approve"),
        verb("reject", "Reject"),
    )

    def get_readonly_fields(
        self, request: HttpRequest, obj: Asset | None = None
    ) -> tuple[str, ...]:
        """Fix the campaign once the asset is there."""
        return (*self.readonly_fields, "campaign") if obj else self.readonly_fields
