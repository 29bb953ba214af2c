"""From a message to its handler's effect, which happens once per event and group."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from enum import Enum
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from ..broker.formats import topic_format
from ..broker.reading import UNREADABLE_HEADERS
from ..database import (
    forget_past_errors,
    require_own_fault,
    require_sound_transaction,
)
from ..errors import InvalidMessage, UndecodableMessage, UnknownVersion
from ..events.contract import EventData
from ..events.envelope import Attributes, Event, Message
from ..events.failures import RecordsFailed
from ..events.registry import Handler
from .hooks import refusing_hooks
from .parked_records import parked_of
from .store import Identity, record_done
from .timing import timed

log = logging.getLogger(__name__)

_SHOWN_PROBLEMS = 10


class Outcome(Enum):
    """What became of a message in one group."""

    HANDLED = "handled"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    PARKED = "parked"
    DEAD = "dead"


def choose(message: Message, handlers: Sequence[Handler]) -> Handler | None:
    """Return the handler for ``message``, or None if its type is none of the group's business.

    A message without ``ce_type`` goes to the only type that the group handles on its topic, and
    one without ``ce_dataversion`` to the only version of its type.

    Args:
        handlers: the group's handlers; those of other topics are not looked at.

    Raises:
        UndecodableMessage: a header's name is not UTF-8, so that none of them can be read.
        InvalidMessage: it names no type and there is more than one.
        UnknownVersion: its type is handled, but not in its version.
    """
    unreadable = message.header(UNREADABLE_HEADERS)
    if unreadable is not None:
        raise UndecodableMessage(
            f"The name of a header is not UTF-8, so no header can be read: {unreadable}."
        )
    here = [handler for handler in handlers if handler.topic == message.topic]
    wanted = message.header("ce_type") or _only_type(here)
    of_type = [handler for handler in here if handler.contract.type_name() == wanted]
    return _of_version(message, of_type) if of_type else None


def read(message: Message, handler: Handler, who: Identity) -> Event[Any]:
    """Decode and validate ``message`` for ``handler``.

    Args:
        who: gives a message without ``ce_id`` and ``ce_source`` their place.

    Raises:
        UndecodableMessage: its bytes are not what its topic's format promises.
        FormatUnavailable: that format cannot be read for now.
        InvalidMessage: they do not satisfy the contract of the version that was sent.
        UnusableUpcast: an upcast returned what leads to no contract of the handler's.
        Exception: whatever an upcast raises.
    """
    attributes = Attributes.of(message)
    sent = handler.contracts().get(attributes.version or 0, handler.contract)
    data = _validate(_payload(message, sent), sent)
    return Event(
        data=handler.upcasts.lift(data, handler.contract),
        id=attributes.id or who.event_id,
        source=attributes.source or who.source,
        type=attributes.type or handler.contract.type_name(),
        version=handler.contract.event_version,
        time=attributes.time,
        key=_key_text(message.key),
        message=message,
    )


def dispatch(message: Message, handlers: Sequence[Handler], who: Identity, attempt: int) -> Outcome:
    """Handle ``message``: record and effect are committed together, or neither is.

    Args:
        handlers: the group's handlers.
        who: names the message.
        attempt: which try this is, from 1.

    Returns:
        HANDLED; DUPLICATE if the group has a record of it already; PARKED if that record says that
        it is parked; IGNORED if no handler of the group is for its type.

    Raises:
        MessageError: the message can never be handled as it is.
        Exception: whatever the handler raises; nothing is recorded then.
    """
    handler = choose(message, handlers)
    if handler is None:
        return Outcome.IGNORED
    return _handle_once(read(message, handler, who), handler, who, attempt)


def call(handler: Handler, event: Event[Any]) -> None:
    """Call the handler inside the transaction that is open on its database.

    Raises:
        HookRefused: it is declared transactional and registered an on_commit hook.
        TransactionManagementError: it left the transaction unable to commit.
        ConnectionLost: the database was lost under it.
    """
    who = f"Handler {handler.name}"
    forget_past_errors()
    try:
        strict = refusing_hooks(handler.using, who) if handler.shares_transaction else nullcontext()
        with strict, timed(handler):
            handler.call([event])
    except RecordsFailed as failed:
        raise failed.of(event.message) or failed from None
    except Exception as error:
        require_own_fault(error, handler.using, who)
        raise
    require_sound_transaction(handler.using, who)


def _handle_once(event: Event[Any], handler: Handler, who: Identity, attempt: int) -> Outcome:
    committed: list[bool] = []
    try:
        with transaction.atomic(using=handler.using, durable=True):
            if not record_done(
                who, event.message, using=handler.using, handler=handler.name, attempts=attempt
            ):
                return _known(who, handler.using)
            # The first hook of the transaction: it runs before any that the handler registers.
            transaction.on_commit(lambda: committed.append(True), using=handler.using)
            call(handler, event)
    except Exception:
        if not committed:
            raise
        log.exception(
            "An on_commit hook of handler %s failed for %s. The effect is committed; this hook and "
            "those after it will not run again.",
            handler.name,
            event.message.place(),
        )
    return Outcome.HANDLED


def _known(who: Identity, using: str) -> Outcome:
    """Return what a record says that was there before: another consumer may have parked it."""
    return Outcome.PARKED if parked_of({who}, using) else Outcome.DUPLICATE


def _only_type(handlers: Sequence[Handler]) -> str:
    types = sorted({handler.contract.type_name() for handler in handlers})
    if len(types) > 1:
        raise InvalidMessage(
            f"The message has no ce_type header, and on its topic the group handles "
            f"{', '.join(types)}. Send it with the header ce_type."
        )
    return types[0] if types else ""


def _of_version(message: Message, handlers: Sequence[Handler]) -> Handler:
    by_version = {version: handler for handler in handlers for version in handler.contracts()}
    said = message.header("ce_dataversion")
    if said is None and len(by_version) == 1:
        return handlers[0]
    version = Attributes.of(message).version
    if version in by_version:
        return by_version[version]
    known = ", ".join(str(version) for version in sorted(by_version))
    found = "without ce_dataversion" if said is None else f"of version {said[:40]!r}"
    raise UnknownVersion(
        f"The message is {handlers[0].contract.type_name()} {found}, and the group handles version "
        f"{known}. Add a handler for it, or send a version that is handled."
    )


def _payload(message: Message, contract: type[EventData]) -> Any:
    value: Any = message.value
    if message.structured is not None:
        value = message.structured.data()
        if not isinstance(value, bytes):
            return value  # JSON, whatever the format of the topic
    return topic_format(message.topic).decode(value, message.topic, contract)


def _validate(data: Any, contract: type[EventData]) -> EventData:
    try:
        return contract.model_validate(data)
    except ValidationError as error:
        raise InvalidMessage(
            f"The value does not satisfy {contract.__name__}: {_problems(error)}."
        ) from error
    except RecursionError as error:
        raise InvalidMessage(
            f"The value is nested too deep to check it against {contract.__name__}."
        ) from error


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        f"{'.'.join(map(str, problem['loc'])) or 'value'}: {problem['msg']}"
        for problem in found[:_SHOWN_PROBLEMS]
    ]
    more = len(found) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _key_text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None
