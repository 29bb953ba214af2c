"""Drains the outbox to Kafka: read, send, wait for every answer, record, again.

A row leaves the queue only after Kafka has acknowledged its event. While Kafka is away the relay
waits and counts nothing against any event.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from threading import Event as Flag

from django.db import DatabaseError, InterfaceError, connections, transaction

from ..broker.producer import EventProducer
from ..conf import settings
from ..database import close_stale_connections, is_contention, is_outage
from ..errors import (
    AuthenticationFailed,
    BrokerUnavailable,
    ConfigurationError,
    KafkaIntegrationError,
    OutboxBusy,
)
from ..models import OutboxQueue
from ..signals import batch_relayed, event_held, relay_idle, relay_leading, relay_waiting
from .batch import Batch, record
from .gate import TopicGate
from .leases import Leases
from .manifests import require_settled
from .scan import pending, read
from .sender import Sender
from .transactions import Transactions

log = logging.getLogger(__name__)

_SLICE = 0.2
_OUTAGE_PAUSE = 1.0
_STOP_PATIENCE = 3.0
_CLOSED_PAUSE = 1.0
_DATABASE_ERRORS = (DatabaseError, InterfaceError)


class Relay:
    """One relay process.

    Args:
        using: alias of the outbox's database.
        batch_size: events read, sent and recorded at once.
        lease_seconds: how long our leases last without a sign of life.
        idle_seconds: longest pause between two looks at an empty outbox.
        exactly_once: publish in Kafka transactions; by default what the settings say.

    Raises:
        ConfigurationError: ``KAFKA_ENABLED`` is false, or a setting cannot be read.
    """

    def __init__(
        self,
        using: str = "default",
        *,
        batch_size: int | None = None,
        lease_seconds: float | None = None,
        idle_seconds: float | None = None,
        exactly_once: bool | None = None,
    ) -> None:
        if not settings.enabled:
            raise ConfigurationError(
                "KAFKA_ENABLED is false, so models are saved without events and no relay starts. "
                "Set it to true, or do not run a relay here."
            )
        self.using = using
        self.batch_size = batch_size or settings.relay_batch_size
        self.idle_seconds = settings.relay_idle_seconds if idle_seconds is None else idle_seconds
        self.leases = Leases(using, lease_seconds or settings.relay_lease_seconds)
        self.published = 0
        self._stop = Flag()
        self._sender = Sender(self._await_answers)
        self._gate = TopicGate(self._say)
        self._patience = math.inf
        self._waiting_since: float | None = None
        exactly = settings.relay_exactly_once if exactly_once is None else exactly_once
        self._engine = self._transactions() if exactly else None

    def _transactions(self) -> Transactions:
        return Transactions(
            self.using, self.leases, self.batch_size, self._gate, self._hold_on, self._say
        )

    def stop(self) -> None:
        """Ask the relay to finish its batch and end; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Relay until :meth:`stop` is called.

        Raises:
            AuthenticationFailed: Kafka does not accept our credentials.
        """
        self._loop(lambda sent: False)

    def drain(self) -> None:
        """Relay until nothing that can be sent is left.

        Raises:
            OutboxBusy: another relay is at work, and did not just die.
            AuthenticationFailed: Kafka does not accept our credentials.
            TopicMissing: events remain whose topic does not exist.
            TopicRefused: events remain for a topic that we may not write to.
        """
        self._patience = self.leases.seconds + 1
        self._loop(lambda sent: sent == 0 and self._is_empty())
        if not self._stop.is_set():
            self._gate.raise_if_closed()

    def once(self) -> int:
        """Relay at most one batch; return how many events were published.

        Raises:
            OutboxBusy: another relay is at work, and did not just die.
            AuthenticationFailed: Kafka does not accept our credentials.
            TopicMissing: events of the batch have a topic that does not exist.
            TopicRefused: events of the batch have a topic that we may not write to.
        """
        self._patience = self.leases.seconds + 1
        self._loop(lambda sent: sent > 0 or self._engine is None or self._is_empty())
        if not self._stop.is_set():
            self._gate.raise_if_closed()
        return self.published

    def _loop(self, enough: Callable[[int], bool]) -> None:
        pause, before = 0.01, 0
        try:
            while not self._stop.is_set():
                sent = self._turn()
                if sent is not None and enough(sent):
                    return
                if before and sent == 0:
                    relay_idle.send(type(self))
                before = sent or 0
                longest = _CLOSED_PAUSE if self._gate.closed() else self.idle_seconds
                pause = 0.01 if sent else min(pause * 1.5, max(longest, self.idle_seconds))
                if not sent:
                    self._stop.wait(pause)
        finally:
            self._end()

    def _turn(self) -> int | None:
        """Do one round; return how many events went out, or None if we could not work."""
        try:
            close_stale_connections()
            return self._relay_batch() if self._lead() else None
        except _DATABASE_ERRORS as error:
            self._require_passing(error)
            self._wait(f"the database does not answer: {error}", _OUTAGE_PAUSE)
        except BrokerUnavailable as error:
            self._wait(str(error), _OUTAGE_PAUSE)
        return None

    def _lead(self) -> bool:
        """Hold on to our leases or take them; return whether we hold any."""
        if self.leases.shards:
            if not self.leases.due() or self.leases.renew():
                return True
            self._lose()
        if self.leases.acquire():
            if self._engine is None:
                require_settled(self.using, self.leases.shards)
            relay_leading.send(type(self), using=self.using, owner=self.leases.owner)
            return True
        self._wait_for(self.leases.holder())
        return False

    def _wait_for(self, holder: str) -> None:
        self._waiting_since = self._waiting_since or time.monotonic()
        if time.monotonic() - self._waiting_since > self._patience:
            raise OutboxBusy(holder)
        self._wait(
            f"another relay, {holder or 'just gone'}, holds the outbox's leases; taking over when "
            "it ends",
            min(1.0, self.leases.seconds / 3),
        )

    def _finish(self, engine: Transactions) -> None:
        """Let what is under way come to its end, if that does not take long."""
        deadline = time.monotonic() + _STOP_PATIENCE
        try:
            while self.leases.shards and not engine.settle() and time.monotonic() < deadline:
                pass
        except (*_DATABASE_ERRORS, KafkaIntegrationError) as error:
            log.warning("The next relay settles what was under way: %s", error)
        engine.discard()

    def _relay_batch(self) -> int:
        if self._engine is not None:
            sent = self._engine.advance()
            self.published += sent
            return sent
        started = time.monotonic()
        self._gate.reopen()
        rows = read(self.using, self.leases.shards, self.batch_size, self._gate.closed())
        rows = [row for row in rows if self._gate.lets_through(row.topic)]
        batch = Batch(rows)
        if not rows or not self._hold_on() or not self._sender.send(batch):
            return 0
        self._record(batch)
        sent = len(batch.sent)
        self.published += sent
        batch_relayed.send(
            type(self),
            published=sent,
            held=len(batch.rejected()),
            seconds=time.monotonic() - started,
        )
        return sent

    def _await_answers(self, producer: EventProducer) -> bool:
        """Wait until nothing is under way; False if we lost our leases meanwhile."""
        waited = 0.0
        while producer.flush(_SLICE):
            waited += _SLICE
            if waited % 5 < _SLICE:
                self._report_outage(producer)
            if isinstance(producer.last_error, AuthenticationFailed):
                raise producer.last_error
            if self._stop.is_set() and waited > _STOP_PATIENCE:
                producer.abandon()
            if not self._hold_on():
                return False
        return True

    def _hold_on(self) -> bool:
        """Renew the leases if it is time; False, and nothing is ours any more, if they are lost."""
        if not self._still_leading():
            self._lose()
        return bool(self.leases.shards)

    def _still_leading(self) -> bool:
        if not self.leases.due():
            return True
        try:
            return self.leases.renew()
        except _DATABASE_ERRORS as error:
            self._require_passing(error)
            log.warning("The leases cannot be renewed now: %s", error)
            close_stale_connections()
            return self.leases.valid()

    def _record(self, batch: Batch) -> None:
        while True:
            try:
                with transaction.atomic(using=self.using):
                    record(self.using, batch, self.leases.lock())
                break
            except _DATABASE_ERRORS as error:
                self._require_passing(error)
                if self._stop.is_set() or not self.leases.valid():
                    raise  # our next owner sends the batch again
                self._wait(f"the database does not answer: {error}", _OUTAGE_PAUSE)
                close_stale_connections()
        self._react(batch)

    def _react(self, batch: Batch) -> None:
        for row, error in batch.rejected():
            log.error("Event %s is held back: %s", row.event_id, error)
            event_held.send(
                type(self),
                event_id=row.event_id,
                topic=row.topic,
                key_hash=row.key_hash,
                reason=str(error),
            )
        for topic, error in batch.closed_topics().items():
            self._gate.close(topic, error)
        failure = batch.other_failure()
        if failure and not self._stop.is_set():
            self._wait(str(failure), _OUTAGE_PAUSE)

    def _is_empty(self) -> bool:
        return not pending(self.using, self.leases.shards, self._gate.closed())

    def _require_passing(self, error: Exception) -> None:
        """Let an error pass that waiting cures; raise any other, with its cure if it is ours."""
        if is_outage(error) or is_contention(error):
            return
        if OutboxQueue._meta.db_table not in connections[self.using].introspection.table_names():
            raise ConfigurationError(
                f"The outbox's tables are not in database {self.using!r}. Run 'manage.py migrate "
                f"--database {self.using}'."
            ) from error
        raise error

    def _report_outage(self, producer: EventProducer) -> None:
        reason = producer.last_error or BrokerUnavailable(settings.broker)
        self._say(f"{reason} Events wait in the outbox; nothing is lost.")

    def _wait(self, reason: str, seconds: float) -> None:
        self._say(reason)
        self._stop.wait(seconds)

    def _say(self, reason: str) -> None:
        relay_waiting.send(type(self), reason=reason)

    def _lose(self) -> None:
        self._say("our leases have run out; what was under way is read again by their next owner")
        self.leases.shards = []
        self._sender.discard_producer()
        if self._engine is not None:
            self._engine.discard()

    def _end(self) -> None:
        self._sender.discard_producer()
        if self._engine is not None:
            self._finish(self._engine)
        if not self.leases.shards:
            return
        try:
            self.leases.release()
        except _DATABASE_ERRORS as error:
            log.warning("The leases could not be given back; they expire by themselves: %s", error)
