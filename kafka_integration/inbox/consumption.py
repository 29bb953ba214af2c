"""The consumer's own thread: read, hand over, take results, commit; partitions come and go."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from .. import signals
from ..broker.backlog import Backlog
from ..broker.consumer import EventConsumer
from ..broker.offsets import Place
from ..conf import settings
from ..events.envelope import Message
from ..events.registry import Handler, Order
from .batch import shared_database
from .dispatch import Outcome
from .job import Again, Done, Job, Verdict
from .order import lane_of, order_of
from .origin import Origins
from .parked_turns import ParkedTurns
from .pool import Pool
from .stalls import StallWatch
from .throttle import Intake, Throttle

log = logging.getLogger(__name__)

_IDLE_POLL = 0.2
_BUSY_POLL = 0.02
_RESULT_SECONDS = 0.05
_AT_A_TIME = 100
_LOOK_EVERY = 0.2
_KEY_SHOWN = 40


class Consumption:
    """Moves messages from a consumer, whose listener it is, to the pool; commits what is done.

    Args:
        group: the consumer group.
        handlers: its handlers.
        pool: where they are handled.
        origins: where messages without an id come from.
        parked: lets messages run that are parked in the inbox.
        outcomes: counts what became of the messages.
        stopped: tells whether we are asked to end.
        max_messages: read no more than so many.
        sender: the class that the signals name.
    """

    def __init__(
        self,
        group: str,
        handlers: Sequence[Handler],
        pool: Pool,
        origins: Origins,
        parked: ParkedTurns,
        *,
        outcomes: Counter[Outcome],
        stopped: Callable[[], bool],
        max_messages: int | None,
        sender: type,
    ) -> None:
        self._group = group
        self._pool = pool
        self._origins = origins
        self._parked = parked
        self._outcomes = outcomes
        self._stopped = stopped
        self._max_messages = max_messages
        self._sender = sender
        self._orders: dict[str, Order] = {
            handler.topic: order_of(handler.topic, handlers) for handler in handlers
        }
        self._databases = {topic: shared_database(topic, handlers) for topic in self._orders}
        self._throttle = Throttle(settings.consume_in_flight, settings.consume_in_flight_bytes)
        self._stalls = StallWatch(settings.handler_stall_seconds)
        self._looked_at = 0.0

    def run(self, consumer: EventConsumer, backlog: Backlog | None) -> None:
        """Go on until stopped, until so many messages are handled, or the backlog is.

        Raises:
            BrokerError: Kafka does not let us read.
            BaseException: what ends the process, as ``SystemExit`` in a handler.
        """
        self.consumer = consumer
        while not self._stopped() and not self._reached_limit():
            self._look_around()
            if backlog is not None and self._parked.idle and backlog.is_cleared():
                return
            self._read()
            self._collect()

    def drain(self, seconds: float, places: set[Place] | None = None) -> list[Job]:
        """Wait for what is at work: of these partitions, or of all. Nothing new may begin.

        Returns:
            The jobs that handlers are still at.
        """
        deadline = time.monotonic() + seconds
        while self._pool.busy(places) and time.monotonic() < deadline:
            self._collect(_RESULT_SECONDS)
        self._collect()
        return [job for job in self._pool.running() if places is None or job.place in places]

    def arriving(self, places: set[Place]) -> None:
        """Learn which keys of these partitions are parked before anything of them is handled."""
        self._parked.arriving(places)

    def leaving(self, places: set[Place]) -> None:
        """Finish what is at work of these partitions before they go; forget the rest."""
        self._pool.hold(places)
        seconds = drain_seconds()
        left = self.drain(seconds, places)
        for job in left:
            log.warning(
                "Group %s gives %s[%d] away while a handler is still at %s, after %.0f s. The "
                "message comes again elsewhere, and has no second effect.",
                self._group,
                *job.place,
                job.message.place(),
                seconds,
            )
        self.lost(places)
        self._parked.give_up(places - {job.place for job in left})

    def end(self, left: Sequence[Job]) -> None:
        """Give up our partitions at an orderly end, but for those of handlers still at work."""
        self._parked.give_up(self.consumer.assigned - {job.place for job in left})

    def lost(self, places: set[Place]) -> None:
        """Forget these partitions; what is at work of them is not committed."""
        self._pool.drop(places)
        self._parked.gone(places)

    def _read(self) -> None:
        intake = self._intake()
        if intake is Intake.WAIT:
            self._collect(_RESULT_SECONDS)
            return
        if intake is Intake.PAUSE:
            self.consumer.pause()
        else:
            self.consumer.resume()
        busy = self._pool.in_flight()[0] or self._parked.loading
        message = self.consumer.poll(_BUSY_POLL if busy else _IDLE_POLL)
        number = 0
        while message is not None:
            self._hand_over(message)
            number += 1
            more = number < _AT_A_TIME and self._intake() is Intake.READ
            message = self.consumer.poll(0) if more else None

    def _intake(self) -> Intake:
        messages, size = self._pool.in_flight()
        if self._max_messages is not None:
            room = self._max_messages - self._outcomes.total() - messages
            messages = messages if room > 0 else max(messages, self._throttle.messages)
        return self._throttle.decide(messages, size, time.monotonic())

    def _hand_over(self, message: Message) -> None:
        taken = self.consumer.take(message)
        lane = lane_of(message, self._orders[message.topic])
        database = self._databases[message.topic]
        self._pool.add(Job(taken, lane, self._origins.of(message), database))

    def _collect(self, timeout: float = 0.0) -> None:
        """Take the results there are; wait for a first one if there is none."""
        found = self._pool.result(timeout)
        while found is not None:
            self._note(*found)
            found = self._pool.result()

    def _note(self, job: Job, verdict: Verdict) -> None:
        if isinstance(verdict, Again) and verdict.error is not None:
            self._tell_failure(job.message, verdict.attempt, verdict.error, verdict.pause)
        if not isinstance(verdict, Done):
            return
        if job.parked is not None:
            self._parked.ended(job, verdict.outcome)
            self._tell_parked(job)
        else:
            self.consumer.release(job.taken)
            self._parked.passed(job.place, verdict.outcome)
            self._outcomes[verdict.outcome] += 1
            if verdict.error is not None:
                self._tell_failure(job.message, verdict.attempt, verdict.error, verdict.pause)
        self._tell(job, verdict)

    def _tell_failure(self, message: Message, attempt: int, error: Exception, pause: float) -> None:
        signals.message_failed.send(
            sender=self._sender,
            group=self._group,
            message=message,
            attempt=attempt,
            error=error,
            pause=pause,
        )

    def _tell_parked(self, job: Job) -> None:
        for record, outcome in job.ran:
            signals.record_retried.send(
                sender=self._sender, group=self._group, record=record, outcome=outcome
            )

    def _tell(self, job: Job, verdict: Done) -> None:
        if verdict.outcome is Outcome.DEAD:
            signals.message_dead.send(
                sender=self._sender,
                group=self._group,
                message=job.message,
                reason=verdict.reason,
                letter=verdict.letter,
            )
        if job.parked is None:
            signals.message_handled.send(
                sender=self._sender,
                group=self._group,
                message=job.message,
                outcome=verdict.outcome,
            )

    def _reached_limit(self) -> bool:
        return self._max_messages is not None and self._outcomes.total() >= self._max_messages

    def _look_around(self) -> None:
        now = time.monotonic()
        self._parked.turn()
        if now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = now
        running = self._pool.running()
        signals.consumer_turned.send(
            sender=self._sender,
            group=self._group,
            in_flight=self._pool.in_flight()[0],
            busy_seconds=max([0.0, *(now - job.started for job in running)]),
        )
        for job, seconds in self._stalls.due(running, now):
            log.warning(
                "Group %s: the handler of %s, key %s, has been at work for %.0f s. The messages "
                "of its key wait; others go on while a worker is free.",
                self._group,
                job.message.place(),
                _shown(job.message.key),
                seconds,
            )


def drain_seconds() -> float:
    """Return how long to wait for handlers when partitions go: never so long that Kafka gives up
    on us, since it hears of us again only afterwards.
    """
    interval = float(settings.client_options.get("max.poll.interval.ms", 300_000)) / 1_000
    return min(settings.consume_drain_seconds, interval / 2)


def _shown(key: bytes | None) -> str:
    if key is None:
        return "(none)"
    text = key.decode("utf-8", "backslashreplace")
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _KEY_SHOWN else f"{shown[:_KEY_SHOWN]}…"
