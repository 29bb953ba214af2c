"""The outbox's held keys in the admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ..models import OutboxHold
from .actions import Act, ActingAdmin
from .display import aged, brief, code, short


@admin.register(OutboxHold)
class OutboxHoldAdmin(ActingAdmin):
    """The keys that wait for someone's decision."""

    list_display = ("topic", "key_in_brief", "reason_", "since")
    list_filter = ("created_at",)
    search_fields = ("=key",)
    search_help_text = "A whole key."
    ordering = ("-pk",)
    actions = ("release",)
    fields = ("topic", "key_", "reason", "created_at")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may release keys: whoever may retry events."""
        return request.user.has_perm("kafka_integration.retry_outboxevent")

    def statuses(self, keys: Iterable[Any]) -> Iterable[str]:
        """Return what became of holds that are no longer there."""
        return ["already released" for _ in keys]

    @admin.action(description="Release: send what waits", permissions=["retry"])
    def release(self, request: HttpRequest, queryset: QuerySet[OutboxHold]) -> None:
        """Let the relay send what waits behind the chosen holds."""
        self.act(request, queryset, Act("release", "released", _release, _release_line, {}))

    @admin.display(description="Key")
    def key_in_brief(self, hold: OutboxHold) -> SafeString:
        """The key's beginning."""
        return brief(hold.key)

    @admin.display(description="Key")
    def key_(self, hold: OutboxHold) -> SafeString:
        """The key."""
        return code(hold.key)

    @admin.display(description="Reason")
    def reason_(self, hold: OutboxHold) -> SafeString | str:
        """The reason's beginning."""
        return short(hold.reason)

    @admin.display(description="Held for")
    def since(self, hold: OutboxHold) -> SafeString:
        """Since when it is held."""
        return aged(hold.created_at)


def _release(hold: OutboxHold) -> bool:
    holds = OutboxHold.objects.using(hold._state.db)
    return holds.for_key(hold.topic, hold.key_hash).release() > 0


def _release_line(hold: OutboxHold) -> str:
    return f"Released. It was held: {hold.reason}"
