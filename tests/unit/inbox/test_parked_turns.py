"""When parked records are looked for, with records that are stood in for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

import pytest

from kafka_integration.inbox import parked_turns as module
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.parked import ParkedRecords
from kafka_integration.inbox.parked_turns import ParkedTurns

from .test_settlement import outage


class Records:
    """Gives these answers, one a look."""

    def __init__(self, *answers: Outcome | Exception | None) -> None:
        self.answers = list(answers)
        self.looks = 0

    def run_one(self) -> Outcome | None:
        self.looks += 1
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """A clock that a test moves on."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def at_once(action: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(action())
    except Exception as error:  # noqa: BLE001  # as a thread would
        future.set_exception(error)
    return future


def turns(records: Records) -> ParkedTurns:
    return ParkedTurns("things", cast(ParkedRecords, records), at_once)


def test_as_long_as_one_is_due_it_looks_again_at_once(clock: Clock) -> None:
    records = Records(Outcome.HANDLED, Outcome.DEAD)
    parked = turns(records)
    assert not parked.idle
    parked.turn()
    parked.turn()
    assert not parked.idle
    parked.turn()
    assert parked.idle
    assert parked.outcomes == {Outcome.HANDLED: 1, Outcome.DEAD: 1}
    parked.turn()
    assert records.looks == 3
    clock.now += 1
    parked.turn()
    assert records.looks == 4


def test_in_an_outage_it_looks_less_often(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    records = Records(outage())
    parked = turns(records)
    parked.turn()
    assert parked.idle
    assert "Group things cannot look for parked records" in caplog.text
    clock.now += 4
    parked.turn()
    assert records.looks == 1
    clock.now += 1
    parked.turn()
    assert records.looks == 2


def test_what_is_no_outage_is_raised(clock: Clock) -> None:
    with pytest.raises(LookupError):
        turns(Records(LookupError())).turn()


def test_while_one_runs_no_other_begins(clock: Clock) -> None:
    waiting: list[Future[Any]] = []

    def later(action: Callable[[], Any]) -> Future[Any]:
        waiting.append(Future())
        return waiting[-1]

    parked = ParkedTurns("things", cast(ParkedRecords, Records()), later)
    parked.turn()
    parked.turn()
    assert len(waiting) == 1
    assert not parked.idle
    waiting[0].set_result(None)
    parked.turn()
    assert parked.idle
