"""What needs someone in the inbox, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from prometheus_client.metrics_core import Metric

from ..models import InboxRecord
from ..models.inbox import InboxStatus
from .state import StateCollector

BOUND = 100_000
_OPEN = (InboxStatus.PARKED, InboxStatus.DEAD)


class InboxState(StateCollector):
    """The inbox of one database at the moment of a scrape: what is parked, and what is dead."""

    name = "kafka_inbox"

    def metrics(self) -> Iterable[Metric]:
        """Ask the database."""
        records = InboxRecord.objects.using(self.using)
        open_ones = records.filter(status__in=_OPEN).order_by("status", "created_at")
        rows = (
            records.filter(pk__in=open_ones.values("pk")[:BOUND])
            .order_by()
            .values_list("group", "topic", "status")
            .annotate(number=models.Count("pk"))
        )
        yield self.gauge(
            "open_records",
            f"Messages that are parked or dead, counted up to {BOUND}.",
            ["group", "topic", "status"],
            [((group, topic, status), number) for group, topic, status, number in rows],
        )
