"""Runs one group: the consumer in this thread, its handlers in a pool of others."""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Sequence

from django.db import connections

from .. import signals
from ..broker.admin import TopicAdmin
from ..broker.backlog import Backlog
from ..broker.consumer import EventConsumer
from ..conf import settings
from ..database import close_connections
from ..errors import ConfigurationError, DeclarationError, HandlersLeft, TopicMissing
from ..events.registry import Handler, registry
from ..events.topics import dead_letter_topic
from ..flag import Flag
from .careful import Careful
from .consumption import Consumption
from .dead_letters import DeadLetters
from .dispatch import Outcome
from .job import Job
from .origin import Origins
from .owners import Owners
from .parked_rows import ParkedRows
from .parked_turns import ParkedTurns
from .pool import Pool
from .settlement import Settler
from .waiting import Waiting

log = logging.getLogger(__name__)

_TOPIC_SECONDS = 2.0
_USUAL_WORKERS = 4
_LEAVE_SECONDS = 12.0


class Worker:
    """Runs one group's handlers, several at a time.

    Args:
        group: the consumer group.
        workers: how many handlers run at a time; None means ``KAFKA_CONSUME_WORKERS``.
        drain: end when all is handled that stood in the topics at the start, and no parked record
            is due.
        max_messages: end after so many messages.
        from_beginning: read the topics from their first message; what the group has handled
            before is not handled again.

    Raises:
        UnknownGroup: no handler belongs to the group.
        ConfigurationError: ``KAFKA_ENABLED`` is off, or there would be no worker.
        DeclarationError: a handler is a coroutine function.
    """

    def __init__(
        self,
        group: str,
        *,
        workers: int | None = None,
        drain: bool = False,
        max_messages: int | None = None,
        from_beginning: bool = False,
    ) -> None:
        self.group = group
        self.handlers = _usable(registry.handlers_of(group))
        self.topics = sorted({handler.topic for handler in self.handlers})
        self.workers = _number_of_workers(workers, self.handlers)
        self.outcomes: Counter[Outcome] = Counter()
        self.retried: Counter[Outcome] = Counter()
        self._drain = drain
        self._max_messages = max_messages
        self._from_beginning = from_beginning
        self._stopping = Flag()

    def stop(self) -> None:
        """End :meth:`run` once the handlers that run now are done, and commit.

        What waits, for its turn or for a retry, is left uncommitted and comes again. Safe to call
        from a signal handler and from any thread.
        """
        self._stopping.set()

    def run(self) -> None:
        """Handle messages until stopped, or until the limits given at the start are reached.

        Raises:
            TopicMissing: a topic or its dead-letter topic does not exist.
            BrokerError: Kafka does not answer at the start, or refuses us.
            HandlersLeft: handlers were still at work when it had to end.
        """
        admin = TopicAdmin()
        self._require_topics(admin)
        waiting, careful = Waiting(), Careful()
        pool = self._pool(waiting, careful)
        rows = ParkedRows(self.group, self.handlers)
        owners = Owners(self.group, self.handlers)
        # One thread at least is there for what comes, however long parked messages take.
        most = max(1, self.workers - 1)
        parked = ParkedTurns(
            self.group, rows, owners, waiting, careful, pool, most, drain=self._drain
        )
        self.retried = parked.outcomes
        consumption = Consumption(
            self.group,
            self.handlers,
            pool,
            Origins(admin),
            parked,
            outcomes=self.outcomes,
            stopped=self._stopping.is_set,
            max_messages=self._max_messages,
            sender=type(self),
        )
        consumer = EventConsumer(
            self.topics,
            self.group,
            from_beginning=self._from_beginning,
            watch_ends=self._drain,
            listener=consumption,
        )
        self._run(consumer, consumption, pool)

    def _run(self, consumer: EventConsumer, consumption: Consumption, pool: Pool) -> None:
        seconds = settings.consume_drain_seconds
        left: list[Job] = []
        patience = 0.0
        try:
            backlog = self._backlog(consumer)
            signals.consumer_started.send(sender=type(self), group=self.group)
            pool.start()
            consumption.run(consumer, backlog)
            left = self._finish(consumption, pool, seconds)
            consumption.end(left)
            patience = 0.0 if left else _LEAVE_SECONDS
        except (Exception, SystemExit):
            # Not for KeyboardInterrupt: who presses it twice means at once.
            self._finish(consumption, pool, seconds)
            raise
        finally:
            consumer.close()
            pool.end(patience)
            close_connections()
        if left:
            raise HandlersLeft(self.group, [job.message.place() for job in left], seconds)

    def _finish(self, consumption: Consumption, pool: Pool, seconds: float) -> list[Job]:
        """Let the handlers end that run now; return those that did not."""
        pool.stop()
        left = consumption.drain(seconds)
        waiting = pool.in_flight()[0]
        if waiting:
            log.info("Group %s leaves %d messages unfinished.", self.group, waiting)
        return left

    def _pool(self, waiting: Waiting, careful: Careful) -> Pool:
        letters = DeadLetters()
        stopped = self._stopping.is_set
        settler = Settler(self.group, self.handlers, letters, waiting, careful, stopped=stopped)
        return Pool(
            settler.handle_all,
            settler.bury,
            letters,
            settler.outage_pause,
            stopped=stopped,
            workers=self.workers,
            batches=settler.batch_size,
            alone_seconds=settings.handler_stall_seconds,
            name=f"kafka-{self.group}",
        )

    def _backlog(self, consumer: EventConsumer) -> Backlog | None:
        if not self._drain:
            return None
        return Backlog(consumer, from_beginning=self._from_beginning)

    def _require_topics(self, admin: TopicAdmin) -> None:
        wanted = [name for topic in self.topics for name in (topic, dead_letter_topic(topic))]
        missing = admin.missing(wanted, patience=_TOPIC_SECONDS)
        if missing:
            raise TopicMissing(missing, settings.broker)


def _usable(handlers: Sequence[Handler]) -> list[Handler]:
    if not settings.enabled:
        raise ConfigurationError(
            "KAFKA_ENABLED is off, so nothing is consumed. Set it to true to start a consumer."
        )
    for handler in handlers:
        if inspect.iscoroutinefunction(handler.function):
            raise DeclarationError(
                f"Handler {handler.name} is a coroutine function, and transactions need plain "
                "ones. Write 'def' in place of 'async def', and call async code through "
                "asgiref.sync.async_to_sync."
            )
    return list(handlers)


def _number_of_workers(asked: int | None, handlers: Sequence[Handler]) -> int:
    number = settings.consume_workers if asked is None else asked
    if number < 0 or asked == 0:
        raise ConfigurationError(
            f"{number} workers cannot handle anything. Give --workers or KAFKA_CONSUME_WORKERS a "
            "number from 1, or leave both out."
        )
    if number:
        return number
    # SQLite lets one connection write at a time, and the others find it busy.
    vendors = {connections[handler.using].vendor for handler in handlers}
    return 1 if "sqlite" in vendors else _USUAL_WORKERS
