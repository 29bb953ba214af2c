"""What waits in the outbox, as Prometheus metrics.

At most :data:`BOUND` rows are counted, the oldest: a scrape must stay cheap under a huge backlog.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client.metrics_core import Metric

from ..models import OutboxHold, OutboxLease, OutboxQueue, OutboxRelay, OutboxSetup
from ..outbox.leases import host_and_process
from .state import StateCollector

BOUND = 100_000


class OutboxState(StateCollector):
    """The outbox of one database at the moment of a scrape."""

    name = "kafka_outbox"

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._topics: set[str] = set()

    def metrics(self) -> Iterable[Metric]:
        """Ask the database."""
        yield from self._backlog()
        yield self._held_keys()
        yield from self._leases()

    def _backlog(self) -> Iterable[Metric]:
        found, now = {row[0]: row for row in self._by_topic()}, timezone.now()
        # A topic that has nothing left has a backlog of nothing; its line does not break off.
        self._topics |= found.keys()
        rows = [found.get(topic, (topic, 0, 0, None)) for topic in sorted(self._topics)]
        help = f"Events that wait, held ones included, counted up to {BOUND}."
        yield self.gauge("queued_events", help, ["topic"], [([r[0]], r[1]) for r in rows])
        help = "Events that wait behind a held key, as far as relays have met them."
        yield self.gauge("held_events", help, ["topic"], [([r[0]], r[2]) for r in rows])
        ages = [([r[0]], max(0.0, (now - r[3]).total_seconds()) if r[3] else 0.0) for r in rows]
        yield self.gauge(
            "oldest_seconds", "Age of the oldest event that could be sent now.", ["topic"], ages
        )

    def _by_topic(self) -> models.QuerySet[OutboxQueue, tuple[Any, ...]]:
        queue = OutboxQueue.objects.using(self.using)
        oldest = queue.filter(pk__in=queue.order_by("position").values("pk")[:BOUND])
        due = models.Q(available_at=None) | models.Q(available_at__lte=Now())
        return (
            oldest.order_by("event__topic")
            .values_list("event__topic")
            .annotate(
                events=models.Count("pk"),
                held=models.Count("pk", filter=models.Q(blocked=True)),
                since=models.Min("event__created_at", filter=due & models.Q(blocked=False)),
            )
        )

    def _held_keys(self) -> Metric:
        holds = OutboxHold.objects.using(self.using).order_by()
        rows = holds.values_list("topic").annotate(keys=models.Count("pk"))
        return self.gauge(
            "held_keys", "Keys that wait for a decision.", ["topic"], [([t], n) for t, n in rows]
        )

    def _leases(self) -> Iterable[Metric]:
        shards = OutboxSetup.objects.using(self.using).shards()
        taken = OutboxLease.objects.using(self.using).below(shards).taken().order_by()
        # One process may have had two tenures, each with an owner's name of its own.
        held = Counter(host_and_process(owner) for owner in taken.values_list("owner", flat=True))
        by_relay = [([relay], number) for relay, number in held.items()]
        alive = OutboxRelay.objects.using(self.using).living().count()
        yield self.gauge("shards", "Shards of the outbox.", [], [([], shards)])
        yield self.gauge("leased_shards", "Shards that a relay holds.", ["relay"], by_relay)
        yield self.gauge("living_relays", "Relays with a sign of life.", [], [([], alive)])
