"""At least once, in order: reading, sending and recording side by side.

Several batches are under way at once. They are read ahead and recorded on threads of their own;
only this one talks to Kafka. Where a thread would not see the same data (SQLite, or inside a
transaction), and for a while after Kafka has rejected an event, one batch follows the other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import NamedTuple

from django.db import connections, transaction

from ..signals import batch_relayed
from .background import Background
from .batch import Batch, record
from .cluster import ClusterGuard
from .gate import TopicGate
from .manifests import require_settled
from .notices import tell_held
from .precheck import Precheck
from .read_ahead import ReadAhead
from .reader import Reader, Wanted
from .scan import QueueRow, pending, transaction_id
from .sender import CarefulSender, Sender
from .suspicion import Suspicion
from .watch import DATABASE_ERRORS, Watch

_BATCHES = 4
_BYTES = 32 * 1024 * 1024  # half of what the producer's queue takes
_TICK = 0.005
_SLICE = 0.2


class _Recording(NamedTuple):
    batch: Batch
    done: Future[None]


class Pipeline:
    """Relays what the queue holds, at least once.

    Args:
        watch: tells whether we may go on.
        gate: knows which topics can be written to.
        cluster: knows which Kafka we send to.
        batch_size: events read, sent and recorded at once.
    """

    def __init__(
        self, watch: Watch, gate: TopicGate, cluster: ClusterGuard, batch_size: int
    ) -> None:
        self.published = 0
        self._watch = watch
        self._gate = gate
        self._cluster = cluster
        self._batch_size = batch_size
        self._sender = Sender(watch.await_answers)
        self._apart = CarefulSender(watch.await_answers)
        self._precheck = Precheck(gate)
        self._suspicion = Suspicion(watch, _BATCHES * batch_size)
        self._reader = Reader(watch.using)
        self._ahead = ReadAhead(self._reader, self._wanted)
        self._recorder: Background | None = None
        self._window: deque[Batch] = deque()
        self._recordings: deque[_Recording] = deque()
        self._answered_at = 0.0
        self._reported_at = 0.0

    def begin(self) -> None:
        """Take note that the relay has shards that it did not have before.

        Raises:
            BatchUnsettled: an exactly-once relay left a batch of them unfinished.
        """
        require_settled(self._watch.using, self._watch.leases.shards)
        self._ahead.drop()  # a read that is under way may not know of them

    def advance(self) -> int:
        """Do what can be done now; return how many events were recorded as out.

        Raises:
            AuthenticationFailed: Kafka does not accept our credentials.
            BrokerUnavailable: Kafka does not answer when it is asked for a topic.
            DatabaseError: the database does not answer.
        """
        if self._sender.is_careful or self._suspicion.shards() or not self._may_use_threads():
            return self.settle() + self.round()
        before = self.published
        if self._is_mending():
            self._await_recordings()
            return self.published - before
        self._reopen()
        self._ahead.look()
        rows = self._take_rows()
        if self._needs_round(rows):
            self._ahead.leave(rows)
            self.restart()
            return self.settle() + self.round()  # which reads them again
        if rows:
            self._send(rows)
        self._serve(0 if rows else _TICK)
        self._collect()
        return self.published - before

    def round(self) -> int:
        """Read one batch, send it, wait for its answers, record it; return what went out.

        What Kafka may reject is sent last, apart from what it takes. Shards whose last owners died
        have their turn before.
        """
        self._reopen()
        if self._suspicion.shards():
            self.restart()  # the shards that are read change
        suspected = self._suspicion.work(self._through_gate, self._gate.closed, self._complete)
        rows = self._precheck.sort(self._read_at_once())
        self._sender.narrow(self._gate.narrowest)
        out = self._complete(Batch(rows.swift), self._sender)
        if rows.apart and out == len(rows.swift):
            out += self._complete(rows.batch(), self._apart)
        return suspected + out

    def _read_at_once(self) -> list[QueueRow]:
        rows = self._ahead.read_now()
        try:
            return self._through_gate(rows)
        except Exception:
            self.restart()  # they were passed
            raise

    def look_again(self) -> None:
        """Take note that events were committed just now."""
        self._ahead.look_again()

    def settle(self) -> int:
        """Let all that is under way be answered and recorded; return how many events went out."""
        before = self.published
        while self._window or self._recordings:
            self._serve(_TICK)
            self._collect()
            if not self._watch.holds():
                break
        self._ahead.drop()
        return self.published - before

    def is_idle(self) -> bool:
        """Tell whether nothing is under way and nothing more was found."""
        return self._ahead.is_idle() and not (self._window or self._recordings)

    def is_empty(self) -> bool:
        """Tell whether nothing waits that could be sent now; if something does, look for it."""
        if not self.is_idle():
            return False
        if not pending(self._watch.using, self._watch.leases.shards, self._gate.closed()):
            return True
        self.restart()
        return False

    def restart(self) -> None:
        """Look at the whole queue again with the next read."""
        self._ahead.restart()

    def discard(self) -> None:
        """Withdraw what is under way: its next owner reads it again."""
        self._sender.discard_producer()
        self._apart.discard_producer()
        self._suspicion.discard()
        wait([recording.done for recording in self._recordings])
        self._window.clear()
        self._recordings.clear()
        self._ahead.forget()

    def close(self) -> None:
        """End the threads and their database connections."""
        self._ahead.close()
        if self._recorder:
            self._recorder.close()
        self._recorder = None

    def _may_use_threads(self) -> bool:
        connection = connections[self._watch.using]
        return connection.vendor == "postgresql" and not connection.in_atomic_block

    def _wanted(self, under_way: Sequence[int]) -> Wanted:
        shards, closed = tuple(self._suspicion.trusted()), self._gate.closed()
        return Wanted(shards, self._batch_size, closed, under_way)

    def _take_rows(self) -> list[QueueRow]:
        """Return what was read ahead, if it is there and if there is room for it."""
        if not self._has_room():
            return []
        is_busy = bool(self._window or self._recordings)
        rows = self._ahead.take(0 if is_busy else _SLICE)
        let: list[QueueRow] = []
        try:
            let = self._through_gate(rows)
        finally:
            if len(let) < len(rows):
                through = {row.position for row in let}
                self._ahead.leave(row for row in rows if row.position not in through)
                # What was read after these may be let through when its topic is, before they are.
                self._ahead.drop()
        return let

    def _has_room(self) -> bool:
        batches = [*self._window, *(recording.batch for recording in self._recordings)]
        return (
            sum(len(batch.rows) for batch in batches) < _BATCHES * self._batch_size
            and sum(batch.size for batch in batches) < _BYTES
        )

    def _through_gate(self, rows: list[QueueRow]) -> list[QueueRow]:
        if rows or self._cluster.adopts:
            self._cluster.check(self._gate.cluster_id)
        return [row for row in rows if self._gate.lets_through(row.topic)]

    def _reopen(self) -> None:
        if self._gate.reopen():
            self._ahead.drop()

    def _send(self, rows: list[QueueRow]) -> None:
        if not self._watch.holds():
            return  # all is read anew with the next leases
        if not self._window:
            self._answered_at = time.monotonic()
        batch = Batch(rows)
        self._window.append(batch)
        self._ahead.look()  # while this thread is busy with what it has
        self._sender.hand_over(batch)

    def _serve(self, seconds: float) -> None:
        """Take Kafka's answers, and pass on the batches that have all of theirs."""
        if not self._window:
            if self._recordings:
                wait([self._recordings[0].done], seconds)
            return
        before = self._answers()
        producer = self._sender.serve(seconds)
        now = time.monotonic()
        if self._answers() != before:
            self._answered_at = now
        elif now - self._reported_at >= _SLICE:
            self._reported_at = now
            self._watch.bear(producer, now - self._answered_at)
        self._hand_to_recorder()
        if any(batch.failed for batch in self._window):
            self._mend()

    def _answers(self) -> int:
        return sum(len(batch.sent) + len(batch.failed) for batch in self._window)

    def _hand_to_recorder(self) -> None:
        while self._window and self._window[0].is_answered() and not self._window[0].failed:
            self._submit(self._window.popleft())

    def _submit(self, batch: Batch) -> None:
        self._recorder = self._recorder or Background("outbox-recorder")
        done = self._recorder.submit(partial(self._record, batch))
        self._recordings.append(_Recording(batch, done))

    def _mend(self) -> None:
        """Record what went out beside a failure; the rest is read again, if need be with care."""
        if not self._sender.settle():
            return
        batches = list(self._window)
        self._window.clear()
        if any(batch.rejected() for batch in batches):
            self._sender.be_careful()
            for batch in batches:
                batch.failed = [found for found in batch.failed if found not in batch.rejected()]
        else:
            self._sender.discard_producer()
        for batch in batches:
            self._submit(batch)
        self._ahead.drop()
        self._await_recordings()

    def _is_mending(self) -> bool:
        """Tell whether something was not sent that is not recorded as such yet.

        Until then nothing more may be read: later events of a key must not pass those that failed.
        """
        return any(len(item.batch.sent) < len(item.batch.rows) for item in self._recordings)

    def _await_recordings(self) -> None:
        while self._recordings and self._watch.holds():
            wait([self._recordings[0].done], _SLICE)
            self._collect()

    def _collect(self) -> None:
        """Take note of what was recorded."""
        while self._recordings and self._recordings[0].done.done():
            batch, done = self._recordings.popleft()
            try:
                done.result()
            except DATABASE_ERRORS as error:
                self._submit(batch)  # whatever comes of it: its rows stay under way until then
                self._bear_outage(error)
                return
            self._ahead.leave(batch.rows)
            self._react(batch)

    def _needs_round(self, rows: list[QueueRow]) -> bool:
        too_wide = self._sender.is_too_wide(self._gate.narrowest)
        return bool(rows) and (too_wide or self._precheck.finds(rows))

    def _complete(self, batch: Batch, sender: Sender) -> int:
        """Bring a batch from beginning to end; return how many events went out."""
        if not batch.rows or not self._watch.holds() or not sender.send(batch):
            return 0
        try:
            while not self._has_recorded(batch):
                pass
            self._react(batch)
        except BaseException:
            self.restart()  # they were passed
            raise
        return len(batch.sent)

    def _has_recorded(self, batch: Batch) -> bool:
        try:
            self._record(batch)
        except DATABASE_ERRORS as error:
            self._bear_outage(error)
            return False
        return True

    def _bear_outage(self, error: Exception) -> None:
        self._watch.require_passing(error)
        if self._watch.stopping.is_set() or not self._watch.leases.valid():
            raise error  # our next owner sends the batch again
        self._watch.wait(f"the database does not answer: {error}")

    def _record(self, batch: Batch) -> None:
        using, seen = self._watch.using, self._reader.seen()
        with transaction.atomic(using=using):
            shards = self._watch.leases.lock()
            if connections[using].vendor == "postgresql":
                self._reader.note_own(transaction_id(using), seen)
            record(using, batch, shards)

    def _react(self, batch: Batch) -> None:
        self.published += len(batch.sent)
        for topic, error in batch.closed_topics().items():
            self._gate.close(topic, error)
        if batch.failed:
            self.restart()
        self._precheck.learn(batch)
        for row, error in batch.rejected():
            tell_held(type(self), self._watch.using, row, str(error))
        batch_relayed.send(
            type(self),
            published=len(batch.sent),
            held=len(batch.rejected()),
            seconds=time.monotonic() - batch.started,
        )
        self._suspicion.clear(batch)
        failure = batch.other_failure()
        if failure and not self._watch.stopping.is_set():
            self._watch.wait(str(failure))
