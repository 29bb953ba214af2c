"""A poison event's way: dead letter, dry runs, repair, redrive; in its group only, and once."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from kafka_integration import Event
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.rehearsal import Rehearsal, Verdict, rehearse
from kafka_integration.inbox.worker import Worker
from kafka_integration.models import InboxRecord, InboxStatus
from tests.sample.models import Effect, Label

from ..conftest import Record
from .conftest import Made, ce, effect, numbers

Produce = Callable[..., None]
Handle = Callable[..., None]
Consume = Callable[..., Worker]
Read = Callable[..., list[Record]]

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def letters(*arguments: object) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code and its JSON."""
    out, code = io.StringIO(), 0
    try:
        call_command(
            "kafka_dead_letters",
            *map(str, arguments),
            "--json",
            stdout=out,
            stderr=io.StringIO(),
        )
    except CommandError as error:
        code = error.returncode
    return code, json.loads(out.getvalue() or "{}")


def dead(topic: str) -> InboxRecord:
    """Return the topic's only dead letter, as ``list`` finds it."""
    [found] = letters("list", "--topic", topic)[1]["letters"]
    return InboxRecord.objects.get(pk=found["number"])


def test_poison_is_tried_repaired_and_redriven_once(
    handle: Handle, produce: Produce, consume: Consume, read_topic: Read, topic: str
) -> None:
    broken = [True]

    def breakable(event: Event[Made]) -> None:
        effect(event)
        if broken[0] and event.data.number == 1:
            raise ValueError("the service has a bug")

    handle(breakable)
    produce(b'{"number": 1}', key=b"k", headers=ce("e1"))
    produce(b'{"number": 2}', headers=ce("e2"))
    assert consume().outcomes == {Outcome.DEAD: 1, Outcome.HANDLED: 1}
    record = dead(topic)

    code, told = letters("redrive", record.pk, "--dry-run")
    assert (code, told["fails"]) == (1, 1)
    assert "the service has a bug" in told["first"][0]["trace"]
    broken[0] = False
    code, told = letters("redrive", record.pk, "--dry-run")
    assert (code, told["fine"]) == (0, 1)
    assert numbers() == [2]
    assert dead(topic).updated_at == record.updated_at
    assert consume().retried.total() == 0

    assert letters("redrive", record.pk, "--yes") == (0, {"redriven": 1, "groups": {topic: 1}})
    assert letters("redrive", record.pk, "--yes")[0] == 1
    assert consume().retried == {Outcome.HANDLED: 1}
    assert letters("redrive", record.pk, "--now", "--yes")[0] == 1
    assert consume().retried.total() == 0
    assert numbers() == [2, 1]
    assert Effect.objects.get(number=1).event_id == "e1"
    assert consume(from_beginning=True).outcomes == {Outcome.DUPLICATE: 2}
    assert numbers() == [2, 1]
    # Nothing went back to the topic, and only the first failure to that of the dead letters.
    assert len(read_topic(topic, expect=2)) == 2
    assert len(read_topic(f"{topic}.dlq", expect=1)) == 1


def test_only_the_failing_group_acts(
    handle: Handle, produce: Produce, consume: Consume, topic: str
) -> None:
    calls: list[str] = []
    broken = [True]

    def sound(event: Event[Made]) -> None:
        calls.append("sound")

    def failing(event: Event[Made]) -> None:
        calls.append("failing")
        if broken[0]:
            raise ValueError("a bug")

    handle(sound, group=f"{topic}-sound")
    handle(failing, group=f"{topic}-failing", attempts=1)
    produce(b'{"number": 1}', headers=ce("e1"))
    for group in ("sound", "failing"):
        consume(f"{topic}-{group}")
    broken[0] = False
    record = dead(topic)
    assert record.group == f"{topic}-failing"
    assert letters("redrive", "--event", "e1", "--yes")[1]["groups"] == {record.group: 1}
    for group in ("sound", "failing"):
        consume(f"{topic}-{group}")
    assert calls == ["sound", "failing", "failing"]


def test_a_redrive_here_needs_no_consumer(
    handle: Handle, produce: Produce, consume: Consume, topic: str
) -> None:
    broken = [True]

    def breakable(event: Event[Made]) -> None:
        effect(event)
        if broken[0]:
            raise ValueError("a bug")

    handle(breakable, attempts=1)
    produce(b'{"number": 1}', headers=ce("e1"))
    consume()
    broken[0] = False
    assert letters("redrive", "--topic", topic, "--now", "--yes")[1] == {"handled": 1, "failed": 0}
    assert numbers() == [1]
    assert consume(from_beginning=True).outcomes == {Outcome.DUPLICATE: 1}
    assert numbers() == [1]


def test_two_at_a_time_have_one_effect(
    handle: Handle, produce: Produce, consume: Consume, topic: str
) -> None:
    broken = [True]

    def slow(event: Event[Made]) -> None:
        if broken[0]:
            raise ValueError("a bug")
        effect(event)
        time.sleep(0.5)

    handle(slow, attempts=1)
    produce(b'{"number": 1}', headers=ce("e1"))
    consume()
    broken[0] = False
    told: list[dict[str, Any]] = []

    def redrive() -> None:
        try:
            told.append(letters("redrive", "--topic", topic, "--now", "--yes")[1])
        finally:
            connection.close()

    threads = [threading.Thread(target=redrive) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 3
    assert sum(found.get("handled", 0) for found in told) == 1
    assert sum(found.get("failed", 0) for found in told) == 0
    assert numbers() == [1]


Function = Callable[[Event[Made]], None]


@pytest.fixture
def tried(handle: Handle, topic: str) -> Callable[..., Rehearsal]:
    """Try a letter dry whose handler is this one."""

    def row() -> dict[str, Any]:
        return dict(InboxRecord.objects.values().get())

    def run(function: Function, seconds: float = 20.0, *, is_left_alone: bool = True) -> Rehearsal:
        handle(function)
        record = InboxRecord.objects.create(
            group=topic,
            source="/tests",
            event_id="e1",
            status=InboxStatus.DEAD,
            topic=topic,
            partition=0,
            offset=0,
            value=b'{"number": 1}',
        )
        before = row()
        found = rehearse(record, seconds)
        assert not connection.in_atomic_block
        assert numbers() == []
        assert not is_left_alone or row() == before
        return found

    return run


Tried = Callable[..., Rehearsal]


def closing(event: Event[Made]) -> None:
    effect(event)
    connection.close()


def aborted(event: Event[Made]) -> None:
    effect(event)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
    except Exception:  # noqa: BLE001  # what a careless handler does
        return


def dangling(event: Event[Made]) -> None:
    Label.objects.create(code="a", shelf_id=999_999)


@pytest.mark.parametrize("careless", [closing, aborted, dangling])
def test_what_could_not_be_committed_is_not_fine(careless: Function, tried: Tried) -> None:
    assert tried(careless).verdict is Verdict.FAILS


def sleeping_in_sql(event: Event[Made]) -> None:
    effect(event)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(30)")


def sleeping_in_python(event: Event[Made]) -> None:
    effect(event)
    time.sleep(1.5)
    effect(event)


@pytest.mark.parametrize("slow", [sleeping_in_sql, sleeping_in_python])
def test_locks_do_not_last(slow: Function, tried: Tried) -> None:
    assert tried(slow, 0.4).verdict is Verdict.UNDECIDED


def test_a_row_that_somebody_holds_is_not_waited_for_long(tried: Tried) -> None:
    Label.objects.create(code="held")
    held, tell = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Label.objects.select_for_update().get(code="held")
            held.set()
            tell.wait(60)
        connection.close()

    def waiting(event: Event[Made]) -> None:
        Label.objects.filter(code="held").update(size=1)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(60)
        assert tried(waiting, 0.4).verdict is Verdict.UNDECIDED
    finally:
        tell.set()
        thread.join(60)


def test_the_bounds_end_with_the_dry_run(tried: Tried) -> None:
    assert tried(lambda event: None, 0.4).verdict is Verdict.FINE
    with connection.cursor() as cursor:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute("SELECT current_setting(%s)", [name])
            assert cursor.fetchone() == ("0",)


def test_the_letter_itself_is_not_locked(tried: Tried) -> None:
    done: list[int] = []

    def redrive() -> None:
        done.append(InboxRecord.objects.dead().retry())
        connection.close()

    def meddling(event: Event[Made]) -> None:
        # Had the dry run locked the row, the thread would wait for us, and we for it.
        thread = threading.Thread(target=redrive)
        thread.start()
        thread.join(10)
        assert done == [1]

    assert tried(meddling, is_left_alone=False).verdict is Verdict.FINE
