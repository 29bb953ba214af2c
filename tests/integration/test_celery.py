"""A real Celery worker relays: Redis, PostgreSQL and Kafka are real, and so is its process."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from kafka_integration.models import OutboxDelivery, OutboxQueue
from kafka_integration.outbox.store import NewEvent, append
from mediajira.celery import app

from .conftest import ROOT, Record


@pytest.fixture
def queue() -> str:
    """A Celery queue that only this test's worker listens to."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def worker_log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def worker(
    environment: dict[str, str], queue: str, worker_log: Path
) -> Iterator[subprocess.Popen[str]]:
    """A Celery worker on the test's database, ended by SIGTERM as a supervisor would."""
    options = [
        "--pool",
        "solo",
        "--concurrency",
        "1",
        "-Q",
        queue,
        "-n",
        f"{queue}@%h",
        "-l",
        "INFO",
    ]
    with worker_log.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "mediajira", "worker", *options],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    yield process
    process.terminate()
    try:
        process.wait(30)
    finally:
        process.kill()


def commit_events(topic: str, count: int) -> list[NewEvent]:
    events = [
        NewEvent(
            event_id=uuid.uuid4(),
            topic=topic,
            key=f"key-{number % 2}",
            value=json.dumps({"number": number}).encode(),
            headers={"ce_type": "Numbered"},
            created_at=timezone.now(),
        )
        for number in range(count)
    ]
    with transaction.atomic():
        append("default", events)
    return events


def test_tick_in_a_worker_publishes_what_was_committed(
    worker: subprocess.Popen[str],
    worker_log: Path,
    queue: str,
    topic: str,
    read_topic: Callable[..., list[Record]],
    eventually: Callable[..., None],
) -> None:
    events = commit_events(topic, 20)

    app.send_task("kafka_integration.tasks.relay_tick", kwargs={"seconds": 20}, queue=queue)
    records = read_topic(topic, expect=len(events))

    assert {record.value for record in records} == {event.value for event in events}
    eventually(lambda: not OutboxQueue.objects.exists(), what="the queue is empty")
    recorded = OutboxDelivery.objects.values_list("event__topic", "partition", "offset")
    assert set(recorded) == {(r.topic, r.partition, r.offset) for r in records}
    eventually(lambda: "succeeded in" in worker_log.read_text(), what="the worker says so")
    assert ": 20\n" in worker_log.read_text()


def test_task_says_which_topic_is_missing(
    worker: subprocess.Popen[str],
    worker_log: Path,
    queue: str,
    eventually: Callable[..., None],
) -> None:
    topic = f"test.missing{uuid.uuid4().hex[:8]}.json"
    commit_events(topic, 1)

    app.send_task("kafka_integration.tasks.relay_tick", kwargs={"seconds": 20}, queue=queue)

    eventually(lambda: "raised unexpected" in worker_log.read_text(), what="the task fails")
    assert f"has no topic {topic}" in worker_log.read_text()
    assert OutboxQueue.objects.get().attempts == 0
