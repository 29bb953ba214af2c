"""Drains the outbox to Kafka for as long as it holds the leases.

A row leaves the queue only after Kafka has acknowledged its event. While Kafka is away the relay
waits and counts nothing against any event.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from django.db import connections

from ..conf import settings
from ..database import close_stale_connections
from ..errors import BrokerUnavailable, ConfigurationError, KafkaIntegrationError, OutboxBusy
from ..flag import Flag
from ..models import OutboxQueue
from ..models.setup import CHANNEL
from ..signals import relay_idle, relay_leading, relay_turned
from .cluster import ClusterGuard
from .elsewhere import Elsewhere
from .engine import Engine
from .gate import TopicGate
from .leases import Leases
from .listener import Listener
from .pipeline import Pipeline
from .transactions import Transactions
from .watch import DATABASE_ERRORS, Watch

log = logging.getLogger(__name__)

_SHORTEST_PAUSE = 0.005
_SWIFT_SECONDS = 5.0
_CLOSED_PAUSE = 1.0
_PATIENCE = 3.0
_TIDY_EVERY = 5.0


class Relay:
    """One relay process.

    Args:
        using: alias of the outbox's database.
        batch_size: events read, sent and recorded at once.
        lease_seconds: how long our leases last without a sign of life.
        idle_seconds: longest pause between two looks at an empty outbox.
        exactly_once: publish in Kafka transactions; by default what the settings say.
        adopt_cluster: take whatever Kafka cluster answers for the outbox's own from now on.

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
        adopt_cluster: bool = False,
    ) -> None:
        if not settings.enabled:
            raise ConfigurationError(
                "KAFKA_ENABLED is false, so models are saved without events and no relay starts. "
                "Set it to true, or do not run a relay here."
            )
        self.using = using
        self.batch_size = settings.relay_batch_size if batch_size is None else batch_size
        _require_above_zero("A batch's size", self.batch_size, "--batch-size")
        self.idle_seconds = settings.relay_idle_seconds if idle_seconds is None else idle_seconds
        seconds = settings.relay_lease_seconds if lease_seconds is None else lease_seconds
        _require_above_zero("A lease's time", seconds, "KAFKA_RELAY_LEASE_SECONDS")
        self.leases = Leases(using, seconds)
        self._watch = Watch(using, self.leases, type(self))
        self._gate = TopicGate(self._watch.say, self._watch.bounded(_PATIENCE))
        cluster = ClusterGuard(using, adopt=adopt_cluster)
        self._elsewhere = Elsewhere(using, self.leases.seconds + 1)
        exactly = settings.relay_exactly_once if exactly_once is None else exactly_once
        engine: Callable[..., Engine] = Transactions if exactly else Pipeline
        self._engine = engine(self._watch, self._gate, cluster, self.batch_size)
        self._heard = Flag()
        self._listener = self._make_listener()
        self._patience = math.inf
        self._waiting_since: float | None = None
        self._next_tidying = 0.0

    @property
    def published(self) -> int:
        """How many events went out so far."""
        return self._engine.published

    def stop(self) -> None:
        """Ask the relay to finish what is under way and end; safe in a signal handler."""
        self._watch.stopping.set()
        self._heard.set()

    def run(self) -> None:
        """Relay until :meth:`stop` is called.

        Raises:
            ClusterChanged: Kafka is another cluster than before.
            AuthenticationFailed: Kafka does not accept our credentials.
        """
        self._loop(self._engine.advance, lambda sent: False)

    def drain(self) -> None:
        """Relay until nothing that can be sent is left, in the shards of other relays neither.

        Raises:
            OutboxBusy: another relay holds what waits, and does not send it.
            ClusterChanged: Kafka is another cluster than before.
            AuthenticationFailed: Kafka does not accept our credentials.
            TopicMissing: events remain whose topic does not exist.
            TopicRefused: events remain for a topic that we may not write to.
        """
        self._loop(self._engine.advance, lambda sent: sent == 0 and self._is_empty())
        if not self._watch.stopping.is_set():
            self._gate.raise_if_closed()

    def once(self) -> int:
        """Relay at most one batch; return how many events were published.

        Raises:
            OutboxBusy: other relays hold all shards, and give none of them to us.
            ClusterChanged: Kafka is another cluster than before.
            AuthenticationFailed: Kafka does not accept our credentials.
            TopicMissing: events of the batch have a topic that does not exist.
            TopicRefused: events of the batch have a topic that we may not write to.
        """
        self._patience = self.leases.seconds + 1
        self._loop(self._engine.round, lambda sent: bool(self.leases.shards))
        if not self._watch.stopping.is_set():
            self._gate.raise_if_closed()
        return self.published

    def _loop(self, work: Callable[[], int], enough: Callable[[int], bool]) -> None:
        if self._listener:
            self._listener.start()
        try:
            self._work(work, enough)
            self._finish()
        finally:
            self._end()

    def _work(self, work: Callable[[], int], enough: Callable[[int], bool]) -> None:
        worked_at, told = -math.inf, 0
        pause = _SHORTEST_PAUSE
        while not self._watch.stopping.is_set():
            relay_turned.send(type(self))
            sent, is_done = self._turn(work, enough)
            if is_done:
                return
            if sent or not self._engine.is_idle():
                worked_at, pause = time.monotonic(), _SHORTEST_PAUSE
                continue
            if self.published > told:
                relay_idle.send(type(self))
                told = self.published
            if time.monotonic() - worked_at > _SWIFT_SECONDS:
                pause = min(pause * 1.5, self._longest_pause())
            self._pause(pause)

    def _pause(self, seconds: float) -> None:
        if self._heard.wait(seconds):
            self._engine.look_again()
        self._heard.clear()

    def _tidy(self) -> None:
        if self._engine.is_idle() and time.monotonic() >= self._next_tidying:
            OutboxQueue.objects.using(self.using).bring_home()
            self._next_tidying = time.monotonic() + _TIDY_EVERY

    def _longest_pause(self) -> float:
        return max(_CLOSED_PAUSE if self._gate.closed() else 0.0, self.idle_seconds)

    def _turn(self, work: Callable[[], int], enough: Callable[[int], bool]) -> tuple[int, bool]:
        """Work once; return how many events went out, and whether that was all."""
        try:
            close_stale_connections()
            sent = work() if self._lead() else 0
            if not sent:
                self._tidy()
            return sent, enough(sent)
        except DATABASE_ERRORS as error:
            self._watch.require_passing(error)
            self._watch.wait(f"the database does not answer: {error}")
        except BrokerUnavailable as error:
            self._watch.wait(str(error))
        return 0, False

    def _lead(self) -> bool:
        """Hold on to our share of the shards, or take it; return whether we hold any."""
        before = set(self.leases.shards)
        if not before or not self._watch.holds():
            self._engine.discard()
            before = set()
        if self.leases.surplus():
            self._engine.settle()  # nothing of them may be under way
            self.leases.give_up(self.leases.surplus())
        if not self.leases.acquire():
            self._wait_for(self.leases.holder())
            return False
        if set(self.leases.shards) - before:
            self._engine.begin()
        if not before:
            relay_leading.send(type(self), using=self.using, owner=self.leases.owner)
        return True

    def _wait_for(self, holder: str) -> None:
        self._waiting_since = self._waiting_since or time.monotonic()
        if time.monotonic() - self._waiting_since > self._patience:
            raise OutboxBusy(holder)
        self._watch.wait(
            f"other relays, {holder or 'just gone'} among them, hold every shard; taking our share "
            "as soon as one is free",
            min(0.25, self.leases.seconds / 3),
        )

    def _is_empty(self) -> bool:
        ours, closed = self.leases.shards, self._gate.closed()
        return self._engine.is_empty() and self._elsewhere.is_empty(ours, closed)

    def _finish(self) -> None:
        """Bring what is under way to its end, if we still may."""
        try:
            if self.leases.shards:
                self._engine.settle()
        except (*DATABASE_ERRORS, KafkaIntegrationError) as error:
            log.warning("The next relay takes care of what was under way: %s", error)

    def _end(self) -> None:
        try:
            self._engine.discard()
            if self.leases.owner:
                self.leases.release()
        except DATABASE_ERRORS as error:
            log.warning("The leases could not be given back; they expire by themselves: %s", error)
        finally:
            self._engine.close()
            if self._listener:
                self._listener.close()

    def _make_listener(self) -> Listener | None:
        if not settings.outbox_notify or connections[self.using].vendor != "postgresql":
            return None
        return Listener(settings.relay_listen_database or self.using, self._heard, CHANNEL)


def _require_above_zero(what: str, number: float, name: str) -> None:
    if not number > 0:
        raise ConfigurationError(f"{what} cannot be {number:g}. Give {name} a number above zero.")
