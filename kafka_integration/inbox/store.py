"""Writes inbox records: what names a message, that it was handled, that it could not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from ..errors import RecordLocked
from ..events.envelope import Message, headers_to_json
from ..models import InboxRecord, InboxStatus
from . import insertion

LOCK_SECONDS = 5.0
"""How long a record may be held by another transaction before we turn to other work."""

_LONGEST = 255
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True)
class Identity:
    """What names one message in one group, however often Kafka delivers it.

    Args:
        group: the consumer group.
        source, event_id: CloudEvents' pair; or, for a message that lacks one of them,
            ``kafka:<cluster id>/<topic id>`` and ``<partition>/<offset>``.
    """

    group: str
    source: str
    event_id: str


def identity(group: str, message: Message, origin: Callable[[Message], str]) -> Identity:
    """Return what names ``message`` in ``group``.

    Args:
        origin: returns ``<cluster id>/<topic id>``; asked only for a message without an id of its
            own. The topic's id belongs there since offsets start anew with a topic that is
            deleted and made again.
    """
    named, event_id = message.header("ce_source"), message.header("ce_id")
    if named and event_id:
        return Identity(group, fitting(named), fitting(event_id))
    source = f"kafka:{origin(message)}"
    return Identity(group, fitting(source), f"{message.partition}/{message.offset}")


def fitting(name: str) -> str:
    """Return ``name``, or its hash where the column cannot hold it; no two names share one."""
    if len(name) <= _LONGEST and "\x00" not in name:
        return name
    return "sha256:" + sha256(name.encode()).hexdigest()


def record_done(
    who: Identity, message: Message, *, using: str, handler: str, attempts: int
) -> bool:
    """Record that ``message`` is handled, in the transaction that is open on ``using``.

    Call it before the handler: a second consumer with the same message then waits here, and sees
    a duplicate as soon as the first one has committed.

    Returns:
        Whether the group had no record of it yet. If not, the handler must not run.

    Raises:
        RecordLocked: another transaction has been at it for more than five seconds.
    """
    record = new_record(who, message, InboxStatus.DONE, handler, attempts)
    connection = connections[using]
    with connection.cursor() as cursor, _bounded_wait(connection, cursor, record):
        return _insert(connection, cursor, record)


def record_all_done(
    wanted: Sequence[tuple[Identity, Message, str]], *, using: str
) -> set[Identity]:
    """Record that messages are handled: as :func:`record_done`, in one statement if it can.

    Rows go in sorted by their identity, so that two consumers with the same messages wait for
    each other and never both.

    Args:
        wanted: who each message is, the message, and its handler's name.
        using: the alias of the open transaction.

    Returns:
        Those that the group had no record of yet; only for these the handler must run.

    Raises:
        RecordLocked: another transaction has been at one of them for more than five seconds.
    """
    first = {who: (message, handler) for who, message, handler in reversed(wanted)}
    ordered = sorted(first, key=lambda who: (who.group, who.source, who.event_id))
    record = new_record(ordered[0], first[ordered[0]][0], InboxStatus.DONE, "", 1)
    rows = [_row(who, *first[who]) for who in ordered]
    connection = connections[using]
    most = insertion.most_at_once(connection)
    fresh: set[Identity] = set()
    with connection.cursor() as cursor, _bounded_wait(connection, cursor, record):
        for start in range(0, len(rows), most):
            chunk = rows[start : start + most]
            cursor.execute(*insertion.many(connection, record, chunk))
            fresh.update(Identity(*row) for row in cursor.fetchall())
    return fresh


def record_dead(
    who: Identity, message: Message, *, using: str, handler: str, attempts: int, error: str
) -> bool:
    """Record that ``message`` was given up, with its bytes and the reason.

    Returns:
        Whether the group had no record of it yet; an older record is left as it is.
    """
    record = with_bytes(who, message, InboxStatus.DEAD, handler, attempts)
    record.last_error = storable(error)
    return add(record, using)


def add(record: InboxRecord, using: str) -> bool:
    """Insert a record; return whether the group had none of that identity yet.

    Raises:
        RecordLocked: another transaction has been at it for more than five seconds.
    """
    connection = connections[using]
    with (
        transaction.atomic(using=using),
        connection.cursor() as cursor,
        _bounded_wait(connection, cursor, record),
    ):
        return _insert(connection, cursor, record)


def is_recorded(who: Identity, using: str) -> bool:
    """Tell whether the group has a record of that message, in whatever state."""
    return (
        InboxRecord.objects.using(using)
        .filter(group=who.group, source=who.source, event_id=who.event_id)
        .exists()
    )


def storable(text: str) -> str:
    """Return text that any database takes: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "�").encode("utf-8", "backslashreplace").decode()


def new_record(
    who: Identity, message: Message, status: InboxStatus, handler: str, attempts: int
) -> InboxRecord:
    """Return a new record without the message's bytes."""
    return InboxRecord(
        group=who.group,
        source=who.source,
        event_id=who.event_id,
        status=status,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=message.timestamp,
        handler=handler[-_LONGEST:],
        attempts=attempts,
    )


def with_bytes(
    who: Identity, message: Message, status: InboxStatus, handler: str, attempts: int
) -> InboxRecord:
    """Return a new record that keeps the message's key, value and headers."""
    record = new_record(who, message, status, handler, attempts)
    record.key, record.value = message.key, message.value
    record.headers = headers_to_json(message.headers)
    return record


def _row(who: Identity, message: Message, handler: str) -> insertion.Row:
    return insertion.Row(
        who.source,
        who.event_id,
        message.topic,
        message.partition,
        message.offset,
        message.timestamp,
        handler[-_LONGEST:],
    )


def _insert(connection: BaseDatabaseWrapper, cursor: CursorWrapper, record: InboxRecord) -> bool:
    cursor.execute(*insertion.one(connection, record))
    return bool(cursor.rowcount == 1)


@contextmanager
def _bounded_wait(
    connection: BaseDatabaseWrapper, cursor: CursorWrapper, record: InboxRecord
) -> Iterator[None]:
    """Let PostgreSQL wait for a lock for a limited time inside the block, not after it."""
    if connection.vendor != "postgresql":
        yield
        return
    cursor.execute("SELECT current_setting('lock_timeout')")
    before = cursor.fetchone()[0]
    _set_lock_timeout(cursor, f"{LOCK_SECONDS:g}s")
    try:
        yield
    except OperationalError as error:
        if _state(error) != _LOCK_NOT_AVAILABLE:
            raise
        place = f"{record.topic}[{record.partition}]@{record.offset}"
        raise RecordLocked(record.group, place, LOCK_SECONDS) from error
    _set_lock_timeout(cursor, before)


def _set_lock_timeout(cursor: CursorWrapper, value: str) -> None:
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [value])


def _state(error: OperationalError) -> str | None:
    driver = error.__cause__
    state: str | None = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    return state
