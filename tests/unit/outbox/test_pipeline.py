"""What the pipeline does about batches whose end the database did not let it write down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest
from django.db import OperationalError

from kafka_integration.outbox import pipeline as module
from kafka_integration.outbox.batch import Batch, Sent
from kafka_integration.outbox.leases import Leases
from kafka_integration.outbox.pipeline import Pipeline
from kafka_integration.outbox.scan import QueueRow
from kafka_integration.outbox.watch import Watch

pytestmark = pytest.mark.django_db

ROW = QueueRow(7, 0, 1, 1, "a.b.json", "key", b"{}", {}, False)


class OpenGate:
    """Lets everything through."""

    narrowest = math.inf

    def closed(self) -> list[str]:
        """No topic is closed."""
        return []

    def reopen(self) -> bool:
        """None was."""
        return False


class KnownCluster:
    """Is the one that it was."""

    adopts = False


class Database:
    """Whether recording works."""

    is_away = True

    def record(self, batch: Batch) -> None:
        """Record, or fail as a database does that is away."""
        if self.is_away:
            raise OperationalError("server closed the connection unexpectedly")


@pytest.fixture
def database() -> Database:
    """A database that is away."""
    return Database()


@pytest.fixture
def pipeline(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A pipeline whose leases have run out by its own clock, and not by the database's."""
    leases = Leases("default", 30)
    assert leases.acquire()
    gate: Any = OpenGate()
    cluster: Any = KnownCluster()
    pipeline = Pipeline(Watch("default", leases, object), gate, cluster, 10)
    monkeypatch.setattr(pipeline, "_record", database.record)
    monkeypatch.setattr(pipeline, "_may_use_threads", lambda: True)
    monkeypatch.setattr("kafka_integration.outbox.watch.is_outage", lambda error: True)
    monkeypatch.setattr(leases, "valid", lambda: False)
    yield pipeline
    pipeline.close()


def fail_to_record(pipeline: Pipeline, batch: Batch) -> None:
    pipeline._submit(batch)
    wait([recording.done for recording in pipeline._recordings])
    with pytest.raises(OperationalError):
        pipeline._collect()


def test_a_batch_that_could_not_be_recorded_is_recorded_when_the_database_is_back(
    pipeline: Pipeline, database: Database
) -> None:
    fail_to_record(pipeline, Batch([ROW], [Sent(ROW, 0, 1)]))
    assert not pipeline.is_idle()
    database.is_away = False
    wait([recording.done for recording in pipeline._recordings])
    pipeline._submit(pipeline._recordings.popleft().batch)  # the attempt under way may have failed

    assert pipeline.settle() == 1
    assert pipeline.is_idle()


def test_nothing_is_read_while_a_failure_is_not_written_down(
    pipeline: Pipeline, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(pipeline._ahead, "look", lambda: looks.append("looked"))
    fail_to_record(pipeline, Batch([ROW]))

    with pytest.raises(OperationalError):
        pipeline.advance()
    assert looks == []

    database.is_away = False
    wait([recording.done for recording in pipeline._recordings])
    pipeline._submit(pipeline._recordings.popleft().batch)
    pipeline.advance()
    assert looks == []
    pipeline.advance()
    assert looks == ["looked"]


def test_rows_that_are_left_for_a_round_are_read_again_whatever_comes_between(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts: list[str] = []

    def away() -> int:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(pipeline, "_take_rows", lambda: [ROW])
    monkeypatch.setattr(pipeline, "_needs_round", bool)
    monkeypatch.setattr(pipeline._ahead, "look", lambda: None)
    monkeypatch.setattr(pipeline._ahead, "restart", lambda: restarts.append("restarted"))
    monkeypatch.setattr(pipeline, "settle", away)

    with pytest.raises(OperationalError):
        pipeline.advance()

    assert restarts == ["restarted"]


def test_topics_are_closed_before_anything_else_can_fail(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(pipeline._ahead, "restart", lambda: done.append("restarted"))
    monkeypatch.setattr(module, "tell_held", lambda *_: done.append("told"))

    def away(batch: Batch) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(pipeline._suspicion, "clear", away)
    failed: Any = Exception("refused")
    with pytest.raises(OperationalError):
        pipeline._react(Batch([ROW], failed=[(ROW, failed)]))

    assert done[0] == "restarted"
