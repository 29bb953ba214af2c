"""The relays' leases in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..models import OutboxLease, OutboxSetup
from .display import code
from .readonly import ReadOnlyAdmin


@admin.register(OutboxLease)
class OutboxLeaseAdmin(ReadOnlyAdmin):
    """Which relay sends which shard."""

    list_display = ("shard", "holder", "epoch", "expires_at", "deaths")
    ordering = ("shard",)
    fields = ("shard", "holder", "epoch", "expires_at", "deaths")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxLease]:
        """Leave out the leases of shards that a smaller outbox no longer has."""
        leases = super().get_queryset(request)
        return leases.filter(shard__lt=OutboxSetup.objects.using(leases.db).shards())

    @admin.display(description="Deaths in a row")
    def deaths(self, lease: OutboxLease) -> int:
        """How many relays died holding it, one after the other, and recorded nothing."""
        return lease.crashes or 0

    @admin.display(description="Relay")
    def holder(self, lease: OutboxLease) -> SafeString:
        """The relay, as ``host:process:tenure``, or that there is none."""
        if lease.expires_at is None or lease.expires_at <= timezone.now():
            return format_html('<span class="quiet">{}</span>', "free")
        return code(lease.owner)
