"""What a database says at the moment of a scrape."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence

from django.db import DatabaseError, InterfaceError, connections
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

_FRESH_SECONDS = 2.0


class StateCollector(Collector):
    """Asks the database when Prometheus comes, and no more often than every two seconds.

    A database that does not answer is itself an answer: the metric ``<name>_database_up`` is 0
    then, and all others are left out, so that no old number passes for a new one.

    Args:
        name: what the metrics' names begin with.
        using: alias of the database.
    """

    name: str

    def __init__(self, using: str) -> None:
        self.using = using
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._asked = -_FRESH_SECONDS

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not ask the database."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, two seconds old at most."""
        with self._lock:
            if time.monotonic() - self._asked >= _FRESH_SECONDS:
                self._found = self._ask()
                self._asked = time.monotonic()
            return list(self._found)

    def metrics(self) -> Iterable[Metric]:
        """Ask the database."""
        raise NotImplementedError

    def gauge(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        rows: Iterable[tuple[Sequence[str], float]],
    ) -> Metric:
        """Return a gauge with a value for each row of labels."""
        found = GaugeMetricFamily(f"{self.name}_{name}", text, labels=labels)
        for values, number in rows:
            found.add_metric(values, number)
        return found

    def _ask(self) -> list[Metric]:
        try:
            found = list(self.metrics())
        except (DatabaseError, InterfaceError) as error:
            log.warning("Metrics of database %r could not be read: %s", self.using, error)
            connections[self.using].close()
            found = []
        up = float(bool(found))
        text = "Whether the database answered this scrape."
        return [*found, self.gauge("database_up", text, ["database"], [([self.using], up)])]
