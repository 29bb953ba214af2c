"""Campaigns in the admin: edited in forms, moved along by actions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from mediajira.verbs import SavesWhatChanged, verb

from .models import Campaign, CampaignPreview, TimelineEntry


@admin.register(Campaign)
class CampaignAdmin(SavesWhatChanged):
    """Campaigns; the status changes by actions only, so that no step of the map is left out."""

    list_display = ("name", "status", "owner", "budget", "created_at", "updated_at")
    list_filter = ("status", "created_at", "owner")
    list_select_related = ("owner",)
    search_fields = ("name", "description", "owner__username", "=id")
    date_hierarchy = "created_at"
    autocomplete_fields = ("owner",)
    readonly_fields = ("id", "status", "created_at", "updated_at")
    fields = ("name", "description", "budget", "owner", *readonly_fields)
    actions = (
        verb("activate", "Activate"),
        verb("pause", "Pause"),
        verb("complete", "Complete"),
        verb("archive", "Archive"),
    )


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django: not subscriptable at run time
    """Rows that event handlers write and people only read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: handlers add."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: handlers change."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: history stays."""
        return False


@admin.register(TimelineEntry)
class TimelineEntryAdmin(ReadOnlyAdmin):
    """The history of all campaigns, newest first."""

    list_display = ("happened_at", "what", "text", "campaign_id")
    list_filter = ("what", "happened_at")
    search_fields = ("text", "=campaign_id", "=event_id")
    date_hierarchy = "happened_at"


@admin.register(CampaignPreview)
class CampaignPreviewAdmin(ReadOnlyAdmin):
    """What campaigns hold, as last counted."""

    list_display = ("campaign_id", "asset_count", "latest_asset", "refreshed_at")
    search_fields = ("=campaign_id", "latest_asset")
