"""An application process that dies by SIGKILL around its commit."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from django.db import connections

from kafka_integration.models import OutboxEvent, OutboxQueue
from tests.integration.outbox.conftest import Watched
from tests.sample.models import Sample

_SAVE = """
import time
from django.db import transaction
from tests.sample.models import Sample
with transaction.atomic():
    Sample.objects.create(lane="a", number=7)
    print("saved", flush=True)
    time.sleep({pause})
print("committed", flush=True)
time.sleep(60)
"""
_BARE_SAVE = """
import time
from tests.sample.models import Sample
Sample(lane="a", number=7).save()
print("committed", flush=True)
time.sleep(60)
"""


def test_killed_between_save_and_commit_leaves_neither_row_nor_event(
    start: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    application = Watched(start("shell", "-c", _SAVE.format(pause=60)))
    application.says("saved")
    assert _open_transactions() == 1
    assert application.end(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: _open_transactions() == 0, what="PostgreSQL noticed the death")
    assert not Sample.objects.exists()
    assert not OutboxEvent.objects.exists()
    assert not OutboxQueue.objects.exists()


def test_killed_after_the_commit_leaves_both(start: Callable[..., Any]) -> None:
    application = Watched(start("shell", "-c", _SAVE.format(pause=0)))
    application.says("committed")
    application.end(signal.SIGKILL)
    _assert_both()


def test_killed_after_a_bare_save_leaves_both(start: Callable[..., Any]) -> None:
    application = Watched(start("shell", "-c", _BARE_SAVE))
    application.says("committed")
    application.end(signal.SIGKILL)
    _assert_both()


def _assert_both() -> None:
    assert Sample.objects.get().number == 7
    assert OutboxQueue.objects.get().event == OutboxEvent.objects.get()
    assert b'"number":7' in bytes(OutboxEvent.objects.get().value)


def _open_transactions() -> int:
    """Count the other sessions of our database that have written and not committed."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL"
        )
        [(count,)] = cursor.fetchall()
    return int(count)
