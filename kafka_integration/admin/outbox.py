"""The outbox's events in the admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.safestring import SafeString

from ..models import EventStatus, OutboxDelivery, OutboxEvent, OutboxHold, OutboxQueue
from ..readable import NOTHING
from .actions import Act, ActingAdmin
from .display import (
    aged,
    badge,
    brief,
    code,
    dotted,
    header_table,
    place,
    pretty,
    short,
    stacked,
    table,
)
from .filters import EventStatusFilter, TopicFilter

_WAITS = "waits behind a held key"
_REASONS: dict[str, str] = {
    EventStatus.PENDING: "not held, the relay sends it by itself",
    EventStatus.SENT: "already sent",
    EventStatus.DISCARDED: "already discarded",
}


@admin.register(OutboxEvent)
class OutboxEventAdmin(ActingAdmin):
    """Every event, newest first: what it says, and whether and where it landed."""

    list_display = (
        "id_",
        "status_",
        "topic_",
        "key_in_brief",
        "age",
        "landed",
        "attempts",
        "last_error",
    )
    list_filter = (EventStatusFilter, TopicFilter, "created_at")
    search_fields = ("key",)  # shows the search box; get_search_results looks
    search_help_text = "An event id, or a whole key."
    ordering = ("-pk",)
    list_per_page = 50
    actions = ("retry", "discard")
    fieldsets = (
        (None, {"fields": ("event_id", "type_", "topic", "key_", "created_at")}),
        ("Where it is", {"fields": ("status_", "hold", "queue", "deliveries")}),
        ("What it says", {"fields": ("payload", "headers_")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxEvent]:
        """Return the events with their status and history, in three queries; no payload."""
        return OutboxEvent.objects.with_status().with_history().defer("value")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the events with this id or key."""
        term = search_term.strip()
        return (queryset.found_by(term) if term else queryset), False  # type: ignore[attr-defined]  # OutboxEventQuerySet

    def statuses(self, keys: Iterable[Any]) -> Iterable[str]:
        """Return the status that each of these events has now."""
        return map(_status, OutboxEvent.objects.with_status().filter(pk__in=keys))

    @admin.action(description="Retry: release the hold on the key", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[OutboxEvent]) -> None:
        """Let the relay send the chosen events and all that waits behind them."""
        released: set[tuple[str, str]] = set()

        def release(event: OutboxEvent) -> bool:
            # Another chosen event of the same key may have released it a moment ago.
            unit = event.topic, event.key
            if unit not in released and not event.retry():
                return False
            released.add(unit)
            return True

        self.act(request, queryset, Act("retry", "retried", release, _retry_line, _REASONS))

    @admin.action(description="Discard: never send", permissions=["discard"])
    def discard(
        self, request: HttpRequest, queryset: QuerySet[OutboxEvent]
    ) -> HttpResponseBase | None:
        """Take the chosen events out of the queue unsent, once the user is sure."""
        consequence = (
            "These events will not be sent, unless one is on its way to Kafka at this moment, and "
            "later events of their keys go on. "
            "Events that are out already stay as they are. This cannot be undone."
        )
        act = Act("discard", "discarded", OutboxEvent.discard, _discard_line, _REASONS)
        return self.act_when_sure(request, queryset, act, consequence)

    @admin.display(description="Id")
    def id_(self, event: OutboxEvent) -> int:
        """The row's number, in the order of insertion."""
        return event.pk

    @admin.display(description="Status")
    def status_(self, event: OutboxEvent) -> SafeString:
        """Pending, held, sent or discarded."""
        return badge(_status(event))

    @admin.display(description="Topic and type")
    def topic_(self, event: OutboxEvent) -> SafeString:
        """The topic, and below it the CloudEvents type."""
        return stacked(dotted(event.topic), self.type_(event))

    @admin.display(description="Key")
    def key_in_brief(self, event: OutboxEvent) -> SafeString:
        """The key's beginning."""
        return brief(event.key)

    @admin.display(description="Key")
    def key_(self, event: OutboxEvent) -> SafeString:
        """The key."""
        return code(event.key)

    @admin.display(description="Type")
    def type_(self, event: OutboxEvent) -> str:
        """The CloudEvents type."""
        return str(event.headers.get("ce_type", NOTHING))

    @admin.display(description="Age")
    def age(self, event: OutboxEvent) -> SafeString:
        """Since when it is there."""
        return aged(event.created_at)

    @admin.display(description="Landed at")
    def landed(self, event: OutboxEvent) -> SafeString | str:
        """Topic, partition and offset of the latest delivery."""
        sent = [found for found in event.deliveries.all() if found.offset is not None]
        return _place(sent[-1]) if sent else NOTHING

    @admin.display(description="Attempts")
    def attempts(self, event: OutboxEvent) -> int | str:
        """How often Kafka refused it, while it is queued."""
        row = _queued(event)
        return row.attempts if row else NOTHING

    @admin.display(description="Last error")
    def last_error(self, event: OutboxEvent) -> SafeString | str:
        """Why it is not out yet."""
        row = _queued(event)
        if row is None:
            return NOTHING
        held = _status(event) == EventStatus.HELD
        return short(row.last_error or (_WAITS if held else ""))

    @admin.display(description="Hold on its key")
    def hold(self, event: OutboxEvent) -> SafeString | str:
        """Why and since when the key is held."""
        found = OutboxHold.objects.using(event._state.db).for_key(event.topic, event.key_hash)
        rows = ((item.reason, aged(item.created_at)) for item in found)
        return table(("Reason", "Since"), rows)

    @admin.display(description="In the queue")
    def queue(self, event: OutboxEvent) -> SafeString | str:
        """Its rows in the queue; more than one after a replay."""
        heads = ("Position", "Shard", "Not before", "Attempts", "Last error")
        rows = (
            (row.pk, row.shard, row.available_at or "now", row.attempts, row.last_error or NOTHING)
            for row in event.queued.all()
        )
        return table(heads, rows)

    @admin.display(description="Deliveries")
    def deliveries(self, event: OutboxEvent) -> SafeString | str:
        """How it left the queue, each time."""
        rows = ((badge(d.outcome), _place(d), aged(d.at)) for d in event.deliveries.all())
        return table(("Outcome", "Where", "Age"), rows)

    @admin.display(description="Payload")
    def payload(self, event: OutboxEvent) -> SafeString:
        """The value, readable."""
        return pretty(event.value)

    @admin.display(description="Headers")
    def headers_(self, event: OutboxEvent) -> SafeString | str:
        """The headers; ce_sequence is added when it is sent."""
        return header_table((name, text.encode()) for name, text in event.headers.items())


def _status(event: OutboxEvent) -> str:
    # Annotated by with_status(). An event with neither queue row nor delivery has none.
    return getattr(event, "status", None) or "unknown"


def _queued(event: OutboxEvent) -> OutboxQueue | None:
    return next(iter(event.queued.all()), None)


def _place(delivery: OutboxDelivery) -> SafeString | str:
    if delivery.offset is None:
        return NOTHING
    return place(delivery.event.topic, delivery.partition, delivery.offset)


def _retry_line(event: OutboxEvent) -> str:
    holds = OutboxHold.objects.using(event._state.db).for_key(event.topic, event.key_hash)
    reason = holds.values_list("reason", flat=True).first()
    return f"Retried. The key was held: {reason}" if reason else "Retried with its key."


def _discard_line(event: OutboxEvent) -> str:
    row = _queued(event)
    return f"Discarded unsent. Last error: {row.last_error or 'none'}" if row else "Discarded."
