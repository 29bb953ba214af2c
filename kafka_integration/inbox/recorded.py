"""From a recorded message to its handler, once more."""

from __future__ import annotations

from ..errors import InvalidMessage
from ..events.registry import Handler, registry
from ..models import InboxRecord
from .dispatch import call, choose, read
from .store import Identity


def handler_of(record: InboxRecord) -> Handler:
    """Return the handler that the record's message has today.

    Raises:
        UnknownGroup: this project has no handler of the group.
        MessageError: the message cannot be read, or no handler of the group is for it any more.
    """
    handlers = registry.handlers_of(record.group)
    found = choose(record.message(), handlers)
    using = record._state.db or "default"
    if found is None or found.using != using:
        raise InvalidMessage(
            f"Group {record.group!r} has no handler for this message on database {using!r} any "
            "more. Declare one again, or discard the message."
        )
    return found


def call_for(record: InboxRecord, handler: Handler) -> None:
    """Call ``handler`` with the record's event, inside the transaction that is open.

    The event has the id and the source that it had, so that whoever looks at them knows it again.

    Raises:
        MessageError: the message can never be handled as it is.
        Exception: what the handler raises; see :func:`kafka_integration.inbox.dispatch.call`.
    """
    who = Identity(record.group, record.source, record.event_id)
    call(handler, read(record.message(), handler, who))
