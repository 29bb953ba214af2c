"""One message from its first try to its end: handled, given up, or left to another consumer."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from .. import signals
from ..broker.consumer import EventConsumer
from ..conf import settings
from ..database import close_connections, is_outage
from ..errors import BrokerError, DeadLetterRefused, MessageError, RecordLocked
from ..events.envelope import Message
from ..events.registry import Handler
from .dead_letters import DeadLetters, Failure
from .dispatch import Outcome, choose, dispatch
from .retry import GiveUp, Policy, decide, pause
from .store import Identity, identity, is_recorded, record_dead
from .trace import described, worth_showing

log = logging.getLogger(__name__)

T = TypeVar("T")

_OUTAGE_BACKOFF = 0.5
_OUTAGE_MAXIMUM = 30.0


class Abandoned(Exception):
    """Raised when a message must be left unfinished: we stop, or its partition left us."""


class Settler:
    """Brings messages to their end, one after the other.

    Waiting never stops the polling (see :meth:`EventConsumer.rest`), so that a policy may be as
    patient as it likes without costing the consumer its partitions.

    Args:
        group: the consumer group.
        handlers: its handlers.
        consumer: where the messages come from.
        dead_letters: where those go that cannot be handled.
        origin: see :func:`kafka_integration.inbox.store.identity`.
        stopped: tells whether we are asked to end.
        random: returns a number from 0 up to 1.
    """

    def __init__(
        self,
        group: str,
        handlers: Sequence[Handler],
        consumer: EventConsumer,
        dead_letters: DeadLetters,
        *,
        origin: Callable[[Message], str],
        stopped: Callable[[], bool],
        random: Callable[[], float] = random.random,
    ) -> None:
        self._group = group
        self._handlers = handlers
        self._consumer = consumer
        self._dead_letters = dead_letters
        self._origin = origin
        self._stopped = stopped
        self._random = random

    def settle(self, message: Message) -> Outcome | None:
        """Handle ``message``, trying again as its handler's policy says.

        Returns:
            What became of it, committed; or None if it was abandoned and must not be finished.

        Raises:
            BrokerError: the consumer cannot go on; the message is unfinished.
        """
        try:
            who = self._name(message)
            return self._settle(message, who)
        except Abandoned:
            log.info("Group %s leaves %s unfinished.", self._group, message.place())
            return None

    def _settle(self, message: Message, who: Identity) -> Outcome:
        policy = policy_of(handler_for(message, self._handlers))
        attempt = 1
        while True:
            try:
                return self._dispatch(message, who, attempt)
            except Abandoned:
                raise
            except Exception as error:  # noqa: BLE001  # whatever a handler raises is judged here
                decision = decide(policy, attempt, error, self._random)
                if isinstance(decision, GiveUp):
                    failure = Failure(self._group, decision.reason, attempt, error)
                    self._tell(message, failure)
                    return self._bury(message, who, failure)
                self._announce(message, attempt, error, decision.pause)
            self._rest(message, decision.pause)
            attempt += 1

    def _name(self, message: Message) -> Identity:
        def name() -> Identity:
            return identity(self._group, message, self._origin)

        return self._insist(message, name, is_broker_error, "Kafka does not tell the topic's id")

    def _dispatch(self, message: Message, who: Identity, attempt: int) -> Outcome:
        def handle() -> Outcome:
            return dispatch(message, self._handlers, who, attempt)

        return self._insist(message, handle, is_database_outage, "The database is away")

    def _bury(self, message: Message, who: Identity, failure: Failure) -> Outcome:
        """Send a dead letter, then record it. In this order: a letter twice beats none at all."""
        handler = handler_for(message, self._handlers)
        reason = failure.text()

        def known() -> bool:
            return is_recorded(who, handler.using)

        def record() -> bool:
            return record_dead(
                who,
                message,
                using=handler.using,
                handler=handler.name,
                attempts=failure.attempts,
                error=reason,
            )

        away = "The database is away"
        if self._insist(message, known, is_database_outage, away):
            return Outcome.DUPLICATE
        refusal = self._send(message, failure)
        if refusal is not None:
            log.error("Group %s at %s: %s", self._group, message.place(), refusal)
            reason = f"{reason}\n{refusal}"
        self._insist(message, record, is_database_outage, away)
        signals.message_dead.send(
            sender=type(self),
            group=self._group,
            message=message,
            reason=reason,
            letter=refusal is None,
        )
        return Outcome.DEAD

    def _send(self, message: Message, failure: Failure) -> DeadLetterRefused | None:
        """Send a dead letter; return why its topic will never take it, if it will not.

        To wait for that topic would hold the group for ever, and the record keeps the bytes too.
        """
        try:
            self._insist(
                message,
                lambda: self._dead_letters.send(message, failure),
                is_broker_error,
                f"The dead-letter topic does not take the message ({failure.text()})",
            )
        except DeadLetterRefused as refusal:
            return refusal
        return None

    def _insist(
        self,
        message: Message,
        action: Callable[[], T],
        passes: Callable[[BaseException], bool],
        trouble: str,
    ) -> T:
        """Do ``action`` until it is done, however long a trouble that passes may take.

        Raises:
            Abandoned: we stop, or the message's partition left us meanwhile.
        """
        failures = 0
        while True:
            try:
                return action()
            except Exception as error:
                if not passes(error):
                    raise
                failures += 1
                self._wait(message, failures, trouble, error)

    def _wait(self, message: Message, failures: int, trouble: str, error: Exception) -> None:
        seconds = pause(failures, _OUTAGE_BACKOFF, _OUTAGE_MAXIMUM, self._random)
        log.warning(
            "Group %s waits %.1f s at %s and counts no attempt. %s: %s",
            self._group,
            seconds,
            message.place(),
            trouble,
            error,
        )
        close_connections()
        self._rest(message, seconds)

    def _announce(self, message: Message, attempt: int, error: Exception, seconds: float) -> None:
        log.warning(
            "Group %s: try %d of %s failed, again in %.1f s: %s",
            self._group,
            attempt,
            message.place(),
            seconds,
            described(error),
        )
        signals.message_failed.send(
            sender=type(self),
            group=self._group,
            message=message,
            attempt=attempt,
            error=error,
            pause=seconds,
        )

    def _tell(self, message: Message, failure: Failure) -> None:
        trace = worth_showing(failure.error)
        # Who has no traceback to read needs no second line beside the dead letter's.
        log.log(
            logging.ERROR if trace else logging.DEBUG,
            "Group %s: try %d of %s failed for good: %s",
            self._group,
            failure.attempts,
            message.place(),
            failure.text(),
            exc_info=trace,
        )

    def _rest(self, message: Message, seconds: float) -> None:
        self._consumer.rest(seconds, self._stopped)
        if self._stopped() or not self._consumer.owns(message):
            raise Abandoned


def handler_for(message: Message, handlers: Sequence[Handler]) -> Handler:
    """Return the message's handler; where it has none, the first of its topic stands in.

    The stand-in gives the policy and the database for what is recorded of the message.
    """
    try:
        chosen = choose(message, handlers)
    except MessageError:
        chosen = None
    return chosen or next(handler for handler in handlers if handler.topic == message.topic)


def policy_of(handler: Handler) -> Policy:
    """Return how often and how patiently ``handler`` is tried."""
    return Policy(
        attempts=settings.handler_attempts if handler.attempts is None else handler.attempts,
        backoff=settings.handler_backoff_seconds,
        maximum=settings.handler_backoff_max_seconds,
        retry_on=handler.retry_on,
    )


def is_broker_error(error: BaseException) -> bool:
    """Tell whether Kafka did not do what was asked of it and may do it later."""
    return isinstance(error, BrokerError) and not isinstance(error, DeadLetterRefused)


def is_database_outage(error: BaseException) -> bool:
    """Tell whether the database, not the message, is why something failed."""
    return isinstance(error, RecordLocked) or is_outage(error)
