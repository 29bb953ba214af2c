"""What an operator does about events that do not go out: release their keys, or give them up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db import connections, models, transaction

from ..models import OutboxDelivery, OutboxHold, OutboxQueue, Outcome
from ..models.queue import OutboxQueueQuerySet
from ..step import Step, share_of
from .selection import Selection

_BATCH = 200


def retry(selection: Selection, using: str = "default") -> Iterator[Step]:
    """Release the held keys that are meant, so that the relay sends what waits behind them.

    Yields:
        How many keys have been released, after each transaction.
    """
    pks = list(selection.holds(using).order_by("pk").values_list("pk", flat=True))
    done = 0
    for start in range(0, len(pks), _BATCH):
        batch = pks[start : start + _BATCH]
        done += OutboxHold.objects.using(using).filter(pk__in=batch).release()
        yield Step(done, share=(start + len(batch)) / len(pks))


def unsent(selection: Selection, using: str = "default") -> OutboxQueueQuerySet:
    """Return the queue rows of the events that are meant."""
    queue = OutboxQueue.objects.using(using)
    return queue.filter(event__in=selection.events(using)) if selection else queue


def culprits(selection: Selection, using: str = "default") -> OutboxQueueQuerySet:
    """Return the queue row that each held key is held for: the first one of the key."""
    queue = OutboxQueue.objects.using(using)
    firsts = [_first_behind(hold) for hold in selection.holds(using)]
    return queue.filter(pk__in=[pk for pk in firsts if pk is not None])


def discard(rows: OutboxQueueQuerySet) -> Iterator[Step]:
    """Take events out of the queue unsent; a key that is held for one of them is released.

    The last ones go first, so that a key stays held until all that is to be discarded of it is
    gone, and the relay sends none of it in between. What a relay has in hand at this moment may
    still be sent; the event's deliveries then say so.

    Args:
        rows: from :func:`unsent` or :func:`culprits`.

    Yields:
        How many events have been discarded, after each transaction.
    """
    bounds = rows.aggregate(first=models.Max("pk"), end=models.Min("pk"))
    first, end = bounds["first"] or 0, bounds["end"] or 0
    done, at = 0, first + 1
    while batch := _below(rows, at):
        done += _discard(rows.db, batch)
        at = batch[-1]
        yield Step(done, share=share_of(-first - 1, -at, -end))


def _below(rows: OutboxQueueQuerySet, position: int) -> list[int]:
    found = rows.filter(pk__lt=position).order_by("-position")
    return list(found.values_list("pk", flat=True)[:_BATCH])


def _discard(using: str, positions: Sequence[int]) -> int:
    queue = OutboxQueue.objects.using(using)
    with transaction.atomic(using=using):
        # Holds before rows, as the relay locks them.
        hashes = queue.filter(pk__in=positions).values_list("key_hash", flat=True)
        holds = OutboxHold.objects.using(using).filter(key_hash__in=hashes)
        firsts = {hold.pk: _first_behind(hold) for hold in holds.select_for_update()}
        rows = _locked(queue, positions)
        gone = {row.pk for row in rows}
        queue.filter(pk__in=gone).delete()
        events = dict.fromkeys(row.event_id for row in rows)
        OutboxDelivery.objects.using(using).bulk_create(
            OutboxDelivery(event_id=event, outcome=Outcome.DISCARDED) for event in events
        )
        # A hold is there for the first event of its key; it stays if that one stays.
        over = [hold for hold, first in firsts.items() if first is None or first in gone]
        OutboxHold.objects.using(using).filter(pk__in=over).release()
    return len(events)


def _locked(queue: OutboxQueueQuerySet, positions: Sequence[int]) -> list[OutboxQueue]:
    rows = queue.filter(pk__in=positions).order_by("position").select_related("event")
    rows = rows.defer("event__value", "event__headers")
    # What a relay is just deleting is out; to wait for it could be a deadlock.
    can_skip = connections[queue.db].features.has_select_for_update_skip_locked
    return list(rows.select_for_update(of=("self",), skip_locked=True) if can_skip else rows)


def _first_behind(hold: OutboxHold) -> int | None:
    # What is behind a hold is blocked, and for blocked rows there is an index.
    rows = OutboxQueue.objects.using(hold._state.db).of_key(hold.topic, hold.key_hash)
    blocked = rows.filter(blocked=True).order_by("position")
    return blocked.values_list("pk", flat=True).first()
