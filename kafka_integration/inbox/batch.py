"""Many messages in one transaction, for handlers that allow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import connections, transaction

from ..database import forget_past_errors, require_sound_transaction
from ..events.envelope import Event, Message
from ..events.registry import Handler
from .dispatch import Outcome, choose, read
from .hooks import refusing_hooks
from .insertion import most_at_once
from .parked_records import parked_of
from .store import Identity, record_all_done
from .timing import timed

_WHO = "A handler that shares its transaction"


class KeyParked(Exception):
    """Raised when messages cannot be handled together since one of them is parked."""


def shared_database(topic: str, handlers: Sequence[Handler]) -> str | None:
    """Return the database whose transactions a topic's messages may share, or None.

    All its handlers in the group must allow it, and write to the same database.
    """
    here = [handler for handler in handlers if handler.topic == topic]
    databases = {handler.using for handler in here}
    if len(databases) != 1 or not all(handler.shares_transaction for handler in here):
        return None
    [using] = databases
    return using if most_at_once(connections[using]) > 1 else None


def dispatch_all(
    named: Sequence[tuple[Message, Identity]],
    handlers: Sequence[Handler],
    begins: Callable[[Message], None] = lambda message: None,
) -> list[Outcome]:
    """Handle messages, in their order, in one transaction: all effects are committed or none.

    Args:
        named: the messages of topics that share one database, and who they are.
        handlers: the group's handlers.
        begins: told of each message whose handler is about to run.

    Returns:
        What became of each; see :func:`kafka_integration.inbox.dispatch.dispatch`.

    Raises:
        KeyParked: another consumer has parked one of them. Nothing is recorded.
        Exception: one of them cannot be handled, or was not this time. Nothing is recorded.
    """
    found = [_prepared(message, who, handlers) for message, who in named]
    calls = [(who, *one) for (_, who), one in zip(named, found, strict=True) if one is not None]
    outcomes = iter(_call_all(calls, begins) if calls else [])
    return [Outcome.IGNORED if one is None else next(outcomes) for one in found]


def _prepared(
    message: Message, who: Identity, handlers: Sequence[Handler]
) -> tuple[Handler, Event[Any]] | None:
    handler = choose(message, handlers)
    return None if handler is None else (handler, read(message, handler, who))


def _call_all(
    calls: Sequence[tuple[Identity, Handler, Event[Any]]], begins: Callable[[Message], None]
) -> list[Outcome]:
    using = calls[0][1].using
    # What is asked of the connection is asked once: whatever is wrong with it stays wrong to the
    # end, and then each message is tried alone, where the guilty one is named.
    forget_past_errors()
    with transaction.atomic(using=using, durable=True), refusing_hooks(using, _WHO):
        rows = [(who, event.message, handler.name) for who, handler, event in calls]
        fresh = record_all_done(rows, using=using)
        if parked_of({who for who, _, _ in calls} - fresh, using):
            raise KeyParked("One of these messages is parked, and the later ones of its key wait.")
        outcomes = [_take(who, fresh) for who, _, _ in calls]
        for handler, events in _runs(calls, outcomes):
            begins(events[0].message)
            with timed(handler):
                handler.call(events)
        require_sound_transaction(using, _WHO)
    return outcomes


def _take(who: Identity, fresh: set[Identity]) -> Outcome:
    if who not in fresh:
        return Outcome.DUPLICATE
    fresh.discard(who)  # a second one of that name in this batch is a duplicate
    return Outcome.HANDLED


def _runs(
    calls: Sequence[tuple[Identity, Handler, Event[Any]]], outcomes: Sequence[Outcome]
) -> Iterator[tuple[Handler, list[Event[Any]]]]:
    """Return what each call of a handler gets: one event, or all that follow each other."""
    events: list[Event[Any]] = []
    last: Handler | None = None
    for (_, handler, event), outcome in zip(calls, outcomes, strict=True):
        if outcome is not Outcome.HANDLED:
            continue
        if last is not None and events and not (handler is last and handler.batch):
            yield last, events
            events = []
        last = handler
        events.append(event)
    if last is not None and events:
        yield last, events
