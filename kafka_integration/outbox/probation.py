"""Finds the event that kills an exactly-once relay: the suspected shards take turns, few rows each.

What :mod:`~kafka_integration.outbox.suspicion` is to a relay without transactions. The marks of
rows are written with the manifest of their Kafka transaction.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import takewhile

from django.db import transaction

from ..conf import settings
from ..errors import RelaysDied
from ..models import OutboxQueue
from ..models.queue import OutboxQueueQuerySet, deaths, is_accused
from .leases import Leases
from .load import Load
from .scan import QueueRow
from .tenure import Stage, Tenure
from .tenures import Tenures

_SURVIVED = 3.0
_SECONDS = 0.2  # at a stretch; then the other shards have their turn


class Probation:
    """The tenures of shards whose last owners died one after the other.

    Args:
        tenures: the shards held.
        leases: which tell of the deaths.
    """

    def __init__(self, tenures: Tenures, leases: Leases) -> None:
        self._tenures = tenures
        self._using = tenures.using
        self._leases = leases
        self._theirs = False
        self._ends = 0.0

    def turn(self, ready: Sequence[Tenure]) -> Sequence[Tenure]:
        """Return those of the tenures that are ready whose turn it is.

        While a row of a suspected shard is on its way, nothing else is, so that it is known what a
        relay died of.
        """
        suspected = self._leases.suspected()
        for tenure in self._tenures:
            tenure.on_trial = tenure.shard in suspected
        self._take_marks_back()
        tried = [tenure for tenure in ready if tenure.on_trial and self._is_accused(tenure)]
        if not any(tenure.on_trial and tenure.accused for tenure in self._tenures):
            return ready
        if self._tenures.at(Stage.SENDING):
            return ()
        others = [tenure for tenure in ready if tenure not in tried]
        return self._share_time(tried, others)

    def acquit(self, tenures: Sequence[Tenure]) -> None:
        """Take it that nothing in these shards killed: nothing waits, or all of it was tried."""
        acquitted = [tenure for tenure in tenures if tenure.on_trial]
        self._leases.forgive([tenure.shard for tenure in acquitted])
        for tenure in acquitted:
            tenure.on_trial, tenure.accused, tenure.number = False, 0, 1

    def narrow(self, tenure: Tenure, rows: Sequence[QueueRow]) -> Sequence[QueueRow]:
        """Return which rows of a suspected shard are tried at once: the first ones of ``rows``.

        A row that a relay handed over and brought no answer, alone or with others, goes alone.
        """
        if rows and rows[0].position > tenure.accused:
            self.acquit([tenure])
        if not tenure.on_trial:
            return rows
        seen = self._queue([row.position for row in rows]).values_list("pk", "last_error")
        alone = {position for position, last_error in seen if is_accused(last_error)}
        if rows and rows[0].position in alone:
            return rows[:1]
        return list(takewhile(lambda row: row.position not in alone, rows))

    def verdict(self, tenure: Tenure, found: Load) -> Load:
        """Return the load of a suspected shard: what was found, or that relays died of it."""
        if not tenure.on_trial or len(found.rows) != 1:
            return found
        [row] = found.rows
        seen = self._queue([row.position])
        count = sum(deaths(*values) for values in seen.values_list("attempts", "last_error"))
        if count < max(1, settings.relay_crashes):
            return found
        return Load((), [(row, RelaysDied(row.topic, count))], [row])

    def mark(self, tenures: Sequence[Tenure], loads: Mapping[int, Load]) -> None:
        """Write down, in the open transaction, which rows are about to be handed over."""
        for tenure in tenures:
            if tenure.on_trial:
                rows = self._queue([row.position for row in loads[tenure.shard].rows])
                if len(loads[tenure.shard].rows) == 1:
                    rows.try_out()
                else:
                    rows.try_out_together()

    def _is_accused(self, tenure: Tenure) -> bool:
        """Tell whether a shard had a batch under way when its owner died; else it is acquitted.

        Rows are tried up to the end of that batch.
        """
        manifest = tenure.manifest
        if manifest and not manifest.settled and manifest.batch != tenure.dropped:
            tenure.accused = max(tenure.accused, *manifest.positions, 0)
        if not tenure.accused:
            self.acquit([tenure])
        return tenure.accused > 0

    def _share_time(self, tried: Sequence[Tenure], others: Sequence[Tenure]) -> Sequence[Tenure]:
        now = time.monotonic()
        if now >= self._ends:
            self._theirs = not self._theirs
            self._ends = now + _SECONDS
        return tried[:1] if tried and (self._theirs or not others) else others

    def _take_marks_back(self) -> None:
        """Take back the marks of rows whose hand-over was survived, or came to its end."""
        late = time.monotonic() - _SURVIVED
        for tenure in self._tenures:
            if tenure.tried and (tenure.stage is not Stage.SENDING or tenure.since < late):
                with transaction.atomic(using=self._using):
                    if self._tenures.locked([tenure]):
                        self._queue(tenure.tried).survived()
                tenure.tried = []

    def _queue(self, positions: Sequence[int]) -> OutboxQueueQuerySet:
        return OutboxQueue.objects.using(self._using).filter(pk__in=positions)
