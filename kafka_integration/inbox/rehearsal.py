"""Runs a letter's handler and undoes all that it did in the databases, to see how it would go."""

from __future__ import annotations

import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum

from django.db import connections, transaction

from ..broker.formats import FormatUnavailable
from ..database import is_contention, is_outage
from ..events.registry import Handler
from ..models import InboxRecord, InboxStatus
from ..models.clock import end_when_idle
from .recorded import call_for, handler_of
from .store import LOCK_SECONDS
from .trace import described, worth_showing

SECONDS = 30.0
"""How long one statement of a dry run may take, and how long it may do none."""

_CANCELED = "57014"


class Verdict(Enum):
    """How a dry run went."""

    FINE = "fine"
    FAILS = "fails"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Rehearsal:
    """What came of a dry run.

    Args:
        record: the letter; nothing of it was changed.
        verdict: UNDECIDED where the database or the Schema Registry stood in the way.
        handler: the function that was called; empty if there is none for it.
        error: exception class, message and place in the project's code; empty if it went well.
        trace: the traceback from the handler on; empty where no code is to blame.
        hooks: ``on_commit`` hooks that it registered. They did not run.
        seconds: how long it took.
    """

    record: InboxRecord
    verdict: Verdict
    handler: str = ""
    error: str = ""
    trace: str = ""
    hooks: int = 0
    seconds: float = 0.0


class _Undo(Exception):
    """Rolls back every transaction that it passes."""


def rehearse(record: InboxRecord, seconds: float = SECONDS) -> Rehearsal:
    """Run the record's handler inside transactions that are rolled back, on every database.

    The record is neither locked nor changed, and nothing is sent to Kafka by us. ``on_commit``
    hooks do not run. What a handler does elsewhere is done: mails, requests, files,
    its own threads.

    Args:
        record: a letter that still has its bytes: parked, dead or discarded.
        seconds: after so long a statement is given up, and so is a transaction in which nothing
            happens, with all its locks (PostgreSQL).
    """
    if record.status == InboxStatus.DONE:
        return Rehearsal(record, Verdict.UNDECIDED, error="It is handled; its bytes are not kept.")
    started = time.monotonic()
    handler: Handler | None = None
    failed: BaseException | None = None
    hooks = 0
    try:
        handler = handler_of(record)
        hooks = _run_and_undo(record, handler, seconds)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a handler raises is told
        failed = error
    return Rehearsal(
        record,
        _verdict(failed),
        handler=handler.name if handler else "",
        error=described(failed) if failed else "",
        trace=_trace(failed) if failed else "",
        hooks=hooks,
        seconds=time.monotonic() - started,
    )


def _run_and_undo(record: InboxRecord, handler: Handler, seconds: float) -> int:
    """Return how many on_commit hooks were registered."""
    hooks = 0
    try:
        with ExitStack() as undone:
            # Each of them: what a handler writes elsewhere with no transaction of ours is done.
            for using in connections:
                undone.enter_context(transaction.atomic(using=using))
                _bound(using, seconds)
            before = _hooks()
            call_for(record, handler)
            _check_constraints()
            hooks = _hooks() - before
            raise _Undo
    except _Undo:
        return hooks


def _bound(using: str, seconds: float) -> None:
    """Give the transaction that is open a bound for its statements, its waits and its idleness."""
    if connections[using].vendor != "postgresql":
        return
    end_when_idle(using, seconds)
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true), "
            "set_config('lock_timeout', %s, true)",
            [f"{seconds * 1000:.0f}ms", f"{min(seconds, LOCK_SECONDS) * 1000:.0f}ms"],
        )


def _check_constraints() -> None:
    """Check now what would be checked at the commit that never comes: Django's foreign keys."""
    for using in connections:
        if connections[using].features.can_defer_constraint_checks:
            connections[using].check_constraints()


def _hooks() -> int:
    return sum(len(connection.run_on_commit) for connection in connections.all())


def _verdict(failed: BaseException | None) -> Verdict:
    if failed is None:
        return Verdict.FINE
    in_the_way = isinstance(failed, FormatUnavailable) or is_outage(failed)
    held_up = in_the_way or is_contention(failed) or _is_canceled(failed)
    return Verdict.UNDECIDED if held_up else Verdict.FAILS


def _is_canceled(error: BaseException) -> bool:
    driver = error.__cause__ or error
    return _CANCELED in (getattr(driver, "sqlstate", None), getattr(driver, "pgcode", None))


def _trace(error: BaseException) -> str:
    shown = worth_showing(error)
    return "".join(traceback.format_exception(*shown)) if shown else ""
