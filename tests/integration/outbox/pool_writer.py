"""A writer that goes on until SIGTERM: transactions, rollbacks, savepoints and bare saves.

The numbers of a shared lane are given under a row lock, and a rollback gives its numbers back: in
the order of the commits each lane's are 1, 2, 3 and so on. When the connection dies under a COMMIT
nobody knows what became of it; the table tells.
"""

from __future__ import annotations

import random
import signal
import time

from django.db import DatabaseError, InterfaceError, connection, transaction

from tests.sample.models import Label, Sample

LANES = [f"lane-{number}" for number in range(6)]
NEVER = "never"


class _Changed(Exception):
    """Somebody changed their mind."""


def make_lanes() -> None:
    """Make the rows whose locks give the numbers."""
    for lane in LANES:
        Label(code=lane).save()


def write_until_stopped(writer: int) -> None:
    """Write until SIGTERM.

    Args:
        writer: its number, which is also the seed of what it does.
    """
    draw, bare, over = random.Random(writer), 0, list[int]()
    signal.signal(signal.SIGTERM, lambda number, _: over.append(number))
    while not over:
        try:
            _write(draw)
            bare += 1
            Sample(lane=f"writer-{writer}", number=bare).save()
        except _Changed:
            continue
        except (DatabaseError, InterfaceError):
            connection.close()
            time.sleep(0.2)
        time.sleep(0.01)


def _write(draw: random.Random) -> None:
    with transaction.atomic():
        for lane in sorted(draw.sample(LANES, 2)):
            label = Label.objects.select_for_update().get(code=lane)
            Label.objects.filter(pk=label.pk).update(size=label.size + 1)
            Sample(lane=lane, number=label.size + 1).save()
        if draw.random() < 0.3:
            _write_and_undo()
        if draw.random() < 0.3:
            raise _Changed


def _write_and_undo() -> None:
    try:
        with transaction.atomic():
            Sample(lane=NEVER, number=1).save()
            raise _Changed
    except _Changed:
        return
