"""Finds the event that kills whoever hands it to Kafka: by a fault of the client, or by its size.

A relay that dies says nothing. But its leases run out, where they are given up in a clean end, and
whoever takes a shard from a dead owner counts that until something of the shard is recorded. Two
such deaths in a row are no accident: then the shard's rows go one by one, and before a row's value
is even read it is written down that it is about to be handed over. A row of which several relays
did so and brought no answer is held.

Relays that are killed from outside, even often, hold nothing: a row is marked only while it is on
its way, no row is marked while others are on theirs, and the mark is taken back once the hand-over
is survived, though Kafka may not answer for hours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from django.db import transaction

from ..broker.producer import EventProducer
from ..conf import settings
from ..errors import RelaysDied
from ..models import OutboxQueue
from ..models.queue import OutboxQueueQuerySet, deaths
from .batch import Batch
from .scan import COLUMNS, QueueRow, put_out_of_sight
from .sender import CarefulSender
from .watch import DATABASE_ERRORS, Watch

log = logging.getLogger(__name__)

_SECONDS = 0.2  # at a stretch; then the other shards have their turn
_SURVIVED = 3.0


class Suspect(NamedTuple):
    """The next row of the shards that are suspected, without its value.

    Args:
        row: as much as is known of it.
        attempts, last_error: as the queue has them.
    """

    row: QueueRow
    attempts: int
    last_error: str

    @property
    def deaths(self) -> int:
        """How many relays handed it over and brought no answer."""
        return deaths(self.attempts, self.last_error)


class Suspicion:
    """The shards of ours whose last owners died one after the other, and what is done about them.

    Args:
        watch: tells whether we may go on.
        most: how many rows a dead relay can have had under way; after so many all is well.
    """

    def __init__(self, watch: Watch, most: int) -> None:
        self._watch = watch
        self._leases = watch.leases
        self._most = most
        self._left = most
        self._sender = CarefulSender(self._outlive)
        self._under_way: QueueRow | None = None

    def shards(self) -> list[int]:
        """Return the shards that are suspected; a relay must not send them in any other way."""
        return self._leases.suspected()

    def trusted(self) -> list[int]:
        """Return our other shards."""
        suspected = self.shards()
        return [shard for shard in self._leases.shards if shard not in suspected]

    def work(
        self,
        lets_through: Callable[[list[QueueRow]], list[QueueRow]],
        closed: Callable[[], Sequence[str]],
        complete: Callable[[Batch, CarefulSender], int],
    ) -> int:
        """Send rows of suspected shards, one by one, for a fifth of a second.

        Nothing else of ours may be under way.

        Args:
            lets_through: leaves the rows of topics that can be written to.
            closed: returns the others.
            complete: sends and records a batch; returns how many events went out.

        Returns:
            How many events went out.
        """
        out, deadline = 0, time.monotonic() + _SECONDS
        while (shards := self.shards()) and self._watch.holds():
            self._take_back()  # if the database failed us in the midst of it
            suspect = self._next(shards, closed())
            if suspect is None or self._left <= 0:
                self._forgive(shards)
            elif suspect.row.is_held:
                put_out_of_sight(self._watch.using, [suspect.row])
            elif lets_through([suspect.row]):
                out += self._try(suspect, complete)
            if time.monotonic() > deadline or self._watch.stopping.is_set():
                break
        return out

    def clear(self, batch: Batch) -> None:
        """Take note of what was recorded: what relays died of has nothing to do with its shards."""
        crashes = self._leases.crashes()
        if crashes:
            shards = {sent.row.shard for sent in batch.sent}
            self._leases.forgive(shards & set(crashes) - set(self.shards()))

    def discard(self) -> None:
        """Withdraw what is under way."""
        self._sender.discard_producer()
        self._left = self._most

    def _next(self, shards: Sequence[int], closed: Sequence[str]) -> Suspect | None:
        queue = OutboxQueue.objects.using(self._watch.using).in_shards(shards).sendable()
        if closed:
            queue = queue.outside(closed)
        names = [name for name in COLUMNS if name not in ("event__value", "event__headers")]
        found = queue.with_hold().values(*names, "attempts", "last_error").first()
        if found is None:
            return None
        rest = {"event__value": b"", "event__headers": {}}
        row = QueueRow._make((found | rest)[name] for name in COLUMNS)
        return Suspect(row, found["attempts"], found["last_error"])

    def _try(self, suspect: Suspect, complete: Callable[[Batch, CarefulSender], int]) -> int:
        if suspect.deaths >= max(1, settings.relay_crashes):
            error = RelaysDied(suspect.row.topic, suspect.deaths)
            return complete(Batch([suspect.row], failed=[(suspect.row, error)]), self._sender)
        self._left -= 1
        if not self._change(suspect.row, OutboxQueueQuerySet.try_out):
            return 0
        self._under_way = suspect.row
        out = complete(Batch(self._read(suspect.row)), self._sender)
        if out:
            self._under_way = None
        self._take_back()
        return out

    def _take_back(self) -> None:
        """Take the mark back of what was under way and is not recorded: we live."""
        if self._under_way:
            self._change(self._under_way, OutboxQueueQuerySet.survived)
        self._under_way = None

    def _read(self, row: QueueRow) -> list[QueueRow]:
        found = OutboxQueue.objects.using(self._watch.using).filter(pk=row.position)
        rows = [QueueRow._make(values) for values in found.with_hold().values_list(*COLUMNS)]
        return [found for found in rows if not found.is_held]

    def _change(self, row: QueueRow, change: Callable[[OutboxQueueQuerySet], int]) -> bool:
        """Change a row, if its shard is ours still; return whether it was there."""
        using = self._watch.using
        with transaction.atomic(using=using):
            if row.shard not in self._leases.lock():
                return False
            return change(OutboxQueue.objects.using(using).filter(pk=row.position)) > 0

    def _forgive(self, shards: Sequence[int]) -> None:
        self._leases.forgive(shards)
        self._left = self._most

    def _outlive(self, producer: EventProducer) -> bool:
        """Wait for an answer; if it takes long, the hand-over at least was survived."""
        if producer.flush(min(_SURVIVED, self._leases.seconds / 3)) and self._under_way:
            try:
                self._change(self._under_way, OutboxQueueQuerySet.survived)
            except DATABASE_ERRORS as error:
                self._watch.require_passing(error)
                log.warning("An event keeps the mark that it is under way: %s", error)
        return self._watch.await_answers(producer)
