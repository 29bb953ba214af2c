"""Finds the event that kills whoever hands it to Kafka: by a fault of the client, or by its size.

A relay that dies says nothing. But its leases run out, where they are given up in a clean end, and
whoever takes a shard from a dead owner counts that until something of the shard is recorded. Two
such deaths in a row are no accident: then little of the shard goes at a time, and before the values
are even read it is written down what is about to be handed over. It begins with one row, and after
each group that is survived the next is twice as large. If the relay dies of a group, the next one
takes its rows one by one. A row that several relays handed over alone, and brought no answer, is
held.

Relays that are killed from outside, even often, hold nothing: a row is marked only while it is on
its way, nothing but what is marked is on its way, and the mark is taken back once the hand-over is
survived, though Kafka may not answer for hours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from django.db import transaction

from ..broker.producer import EventProducer
from ..conf import settings
from ..errors import RelaysDied
from ..models import OutboxQueue
from ..models.queue import OutboxQueueQuerySet, deaths, is_accused
from .batch import Batch
from .scan import COLUMNS, QueueRow, put_out_of_sight
from .sender import CarefulSender
from .tenure import MOST_TOGETHER
from .watch import DATABASE_ERRORS, Watch

log = logging.getLogger(__name__)

_SECONDS = 0.2  # at a stretch; then the other shards have their turn
_SURVIVED = 3.0


class Suspect(NamedTuple):
    """A row of the shards that are suspected, without its value.

    Args:
        row: as much as is known of it.
        attempts, last_error: as the queue has them.
    """

    row: QueueRow
    attempts: int
    last_error: str

    @property
    def deaths(self) -> int:
        """How many relays handed it over alone and brought no answer."""
        return deaths(self.attempts, self.last_error)

    @property
    def goes_alone(self) -> bool:
        """Whether a relay handed it over, alone or with others, and brought no answer."""
        return is_accused(self.last_error)


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
        self._number = 1
        self._sender = CarefulSender(self._outlive)
        self._under_way: Sequence[QueueRow] = ()

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
        """Send rows of suspected shards, few at a time, for a fifth of a second.

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
            suspects = self._next(shards, closed())
            if not suspects:
                self._forgive(shards)
            elif suspects[0].row.is_held:
                held = [suspect.row for suspect in suspects if suspect.row.is_held]
                put_out_of_sight(self._watch.using, held)
            else:
                group = together(suspects)
                passed = lets_through([suspect.row for suspect in group])
                out += self._try([suspect for suspect in group if suspect.row in passed], complete)
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
        self._left, self._number = self._most, 1

    def _next(self, shards: Sequence[int], closed: Sequence[str]) -> list[Suspect]:
        queue = OutboxQueue.objects.using(self._watch.using).in_shards(shards).sendable()
        if closed:
            queue = queue.outside(closed)
        names = [name for name in COLUMNS if name not in ("event__value", "event__headers")]
        values = queue.with_hold().values(*names, "attempts", "last_error")
        return [_suspect(found) for found in values[: max(0, min(self._number, self._left))]]

    def _try(
        self, group: Sequence[Suspect], complete: Callable[[Batch, CarefulSender], int]
    ) -> int:
        if not group:
            return 0
        rows = [suspect.row for suspect in group]
        if group[0].deaths >= max(1, settings.relay_crashes):
            error = RelaysDied(rows[0].topic, group[0].deaths)
            return complete(Batch(rows[:1], failed=[(rows[0], error)]), self._sender)
        self._left -= len(rows)
        alone = len(rows) == 1
        mark = OutboxQueueQuerySet.try_out if alone else OutboxQueueQuerySet.try_out_together
        if not self._change(rows, mark):
            return 0
        self._under_way = rows
        out = complete(Batch(self._read(rows)), self._sender)
        if out == len(rows):
            self._under_way = ()
            self._number = min(self._number * 2, MOST_TOGETHER)
        self._take_back()
        return out

    def _take_back(self) -> None:
        """Take the marks back of what was under way and is not recorded: we live."""
        if self._under_way:
            self._change(self._under_way, OutboxQueueQuerySet.survived)
        self._under_way = ()

    def _read(self, rows: Sequence[QueueRow]) -> list[QueueRow]:
        queue = OutboxQueue.objects.using(self._watch.using)
        found = queue.filter(pk__in=[row.position for row in rows]).order_by("position")
        known = [QueueRow._make(values) for values in found.with_hold().values_list(*COLUMNS)]
        return [row for row in known if not row.is_held]

    def _change(
        self, rows: Sequence[QueueRow], change: Callable[[OutboxQueueQuerySet], int]
    ) -> bool:
        """Change rows, if their shards are ours still; return whether any was there."""
        using = self._watch.using
        with transaction.atomic(using=using):
            if {row.shard for row in rows} - set(self._leases.lock()):
                return False
            positions = [row.position for row in rows]
            return change(OutboxQueue.objects.using(using).filter(pk__in=positions)) > 0

    def _forgive(self, shards: Sequence[int]) -> None:
        self._leases.forgive(shards)
        self._left, self._number = self._most, 1

    def _outlive(self, producer: EventProducer) -> bool:
        """Wait for an answer; if it takes long, the hand-over at least was survived."""
        if producer.flush(min(_SURVIVED, self._leases.seconds / 3)) and self._under_way:
            try:
                self._change(self._under_way, OutboxQueueQuerySet.survived)
            except DATABASE_ERRORS as error:
                self._watch.require_passing(error)
                log.warning("An event keeps the mark that it is under way: %s", error)
        return self._watch.await_answers(producer)


def together(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Return those that are tried at once: the first ones up to one that must go alone, or waits.

    Args:
        suspects: at least one, in the order of sending; the first one's key is not held.
    """
    first, *rest = suspects
    if first.goes_alone:
        return [first]
    return [first, *takewhile(lambda other: not (other.goes_alone or other.row.is_held), rest)]


def _suspect(found: Mapping[str, Any]) -> Suspect:
    known = {**found, "event__value": b"", "event__headers": {}}
    row = QueueRow._make(known[name] for name in COLUMNS)
    return Suspect(row, found["attempts"], found["last_error"])
