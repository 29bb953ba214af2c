"""What an operator does about dead letters: try them, hand them on, handle them here, give them up.

All of it acts in the letters' own groups only. A letter keeps its event id, and the row that is
changed is the one that tells whether the group has handled the event: so nothing happens twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import chain

from django.db import models, transaction

from ..broker.formats import FormatUnavailable
from ..database import is_outage
from ..errors import UnknownGroup
from ..events.registry import registry
from ..models import InboxRecord
from ..models.inbox import InboxRecordQuerySet
from ..step import Step, share_of
from .recorded import call_for, handler_of
from .rehearsal import SECONDS, Rehearsal, rehearse
from .store import storable
from .trace import described, worth_showing

log = logging.getLogger("kafka_integration.letters")

_BATCH = 500


def require_handlers(letters: InboxRecordQuerySet) -> dict[str, int]:
    """Make sure that somebody would take the letters up; return how many each group has.

    Raises:
        UnknownGroup: this project has no handler of one of the groups, so that a letter of it
            would wait for ever.
    """
    counts = letters.count_by_group()
    known = registry.groups()
    for group in counts:
        if group not in known:
            raise UnknownGroup(group, known)
    return counts


def redrive(letters: InboxRecordQuerySet, *, batch_size: int = _BATCH) -> Iterator[Step]:
    """Hand dead letters to their groups' consumers again, the oldest first.

    Args:
        letters: the dead ones that are meant.
        batch_size: how many are changed in one statement.

    Yields:
        How many have been handed on, after each batch.
    """
    return _each_batch(letters, batch_size, InboxRecordQuerySet.retry, "Handed on")


def discard(letters: InboxRecordQuerySet, *, batch_size: int = _BATCH) -> Iterator[Step]:
    """Give dead letters up: no handler of their groups will ever see them.

    Args and yields: as :func:`redrive`.
    """
    return _each_batch(letters, batch_size, InboxRecordQuerySet.discard, "Discarded")


def redrive_here(letters: InboxRecordQuerySet) -> Iterator[Step]:
    """Handle dead letters in this process, each in a transaction of its own, the oldest first.

    One that fails stays dead, with its new reason. The group's consumer handles other messages of
    the same keys meanwhile.

    Yields:
        How many took effect (``done``) and how many failed (``left``), after each.

    Raises:
        DatabaseError: the database is away; no try is counted.
        FormatUnavailable: no letter of its format can be read for now; no try is counted.
    """
    done = failed = 0
    for record, share in _each(letters):
        handled = _handle_here(record)
        done, failed = done + (handled is True), failed + (handled is False)
        yield Step(done, failed, share)


def rehearse_each(
    letters: InboxRecordQuerySet, tell: Callable[[Rehearsal], None], seconds: float = SECONDS
) -> Iterator[Step]:
    """Try letters without any effect, each by itself, the oldest first.

    Args:
        letters: those that are meant.
        tell: is given what came of each.
        seconds: see :func:`kafka_integration.inbox.rehearsal.rehearse`.

    Yields:
        How many have been tried, after each.
    """
    for number, (record, share) in enumerate(_each(letters), 1):
        tell(rehearse(record, seconds))
        yield Step(number, share=share)


def _handle_here(record: InboxRecord) -> bool | None:
    """Return whether it took effect; None if it is dead no longer: somebody was faster."""
    using = record._state.db or "default"
    row = InboxRecord.objects.using(using).filter(pk=record.pk)
    committed: list[bool] = []
    try:
        with transaction.atomic(using=using, durable=True):
            if not row.finish():
                return None
            transaction.on_commit(lambda: committed.append(True), using=using)
            call_for(record, handler_of(record))
    except Exception as error:
        if committed:
            log.exception("An on_commit hook failed; the effect of letter %d stands.", record.pk)
            return True
        if isinstance(error, FormatUnavailable) or is_outage(error):
            raise
        log.warning(
            "Letter %d failed again: %s", record.pk, described(error), exc_info=worth_showing(error)
        )
        row.fail_again(storable(described(error)))
        return False
    return True


def _each_batch(
    letters: InboxRecordQuerySet,
    batch_size: int,
    change: Callable[[InboxRecordQuerySet], int],
    what: str,
) -> Iterator[Step]:
    total, done, seen = letters.count(), 0, 0
    for pks in _batches(letters, batch_size):
        changed = change(InboxRecord.objects.using(letters.db).filter(pk__in=pks))
        done, seen = done + changed, seen + len(pks)
        log.info("%s %d of the letters %d to %d.", what, changed, pks[0], pks[-1])
        yield Step(done, seen - done, share_of(0, seen, total))


def _each(letters: InboxRecordQuerySet) -> Iterator[tuple[InboxRecord, float]]:
    total = letters.count()
    for seen, pk in enumerate(chain.from_iterable(_batches(letters, _BATCH)), 1):
        record = letters.filter(pk=pk).first()  # one at a time: a value may have a megabyte
        if record is not None:
            yield record, share_of(0, seen, total)


def _batches(letters: InboxRecordQuerySet, size: int) -> Iterator[list[int]]:
    """Yield the primary keys that there are now, in order; what dies again is not met twice."""
    end = letters.aggregate(end=models.Max("pk"))["end"]
    at = 0
    while end is not None:
        within = letters.filter(pk__gt=at, pk__lte=end).order_by("pk")
        pks = list(within.values_list("pk", flat=True)[:size])
        if not pks:
            return
        at = pks[-1]
        yield pks
