"""What holds for a message: its handler, how it is tried, whose fault a failure is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ..broker.formats import FormatUnavailable
from ..conf import settings
from ..database import is_outage
from ..errors import BrokerError, DeadLetterRefused, MessageError, RecordLocked
from ..events.envelope import Message
from ..events.registry import Handler
from .dispatch import choose
from .retry import Policy

T = TypeVar("T")


def handler_for(message: Message, handlers: Sequence[Handler]) -> Handler:
    """Return the message's handler; where it has none, the first of its topic stands in.

    The stand-in gives the policy and the database for what is recorded of the message.
    """
    own = own_handler_for(message, handlers)
    return own or next(handler for handler in handlers if handler.topic == message.topic)


def own_handler_for(message: Message, handlers: Sequence[Handler]) -> Handler | None:
    """Return the handler that will be called for the message, or None if none will."""
    try:
        return choose(message, handlers)
    except MessageError:
        return None


def policy_of(handler: Handler) -> Policy:
    """Return how often and how patiently ``handler`` is tried."""
    return Policy(
        attempts=_or(handler.attempts, settings.handler_attempts),
        backoff=_or(handler.backoff, settings.handler_backoff_seconds),
        maximum=_or(handler.backoff_max, settings.handler_backoff_max_seconds),
        retry_on=handler.retry_on,
        fatal_on=handler.fatal_on,
        ignore_on=handler.ignore_on,
        in_place=settings.handler_in_place_seconds,
        patience=_or(handler.give_up_after, settings.handler_give_up_seconds) or None,
    )


def is_broker_error(error: BaseException) -> bool:
    """Tell whether Kafka did not do what was asked of it and may do it later."""
    return isinstance(error, BrokerError) and not isinstance(error, DeadLetterRefused)


def is_database_outage(error: BaseException) -> bool:
    """Tell whether the database, not the message, is why something failed."""
    return isinstance(error, RecordLocked) or is_outage(error)


def is_anothers_fault(error: BaseException) -> bool:
    """Tell whether neither message nor handler is why something failed, so that no try counts."""
    return is_database_outage(error) or isinstance(error, FormatUnavailable)


def _or(own: T | None, general: T) -> T:
    return general if own is None else own
