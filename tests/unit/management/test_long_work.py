"""How long work shows how far it has come."""

from __future__ import annotations

import io

import pytest
from django.core.management.base import OutputWrapper

from kafka_integration.management import long_work
from kafka_integration.management.long_work import LongWork
from kafka_integration.step import Step, share_of

STEPS = [Step(10, share=0.5, last="x"), Step(20, last="y")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal() -> None:
    terminal = Terminal()
    assert LongWork(OutputWrapper(terminal), "replaying").follow(STEPS) == STEPS[-1]
    shown = terminal.getvalue()
    assert "Replaying" in shown
    assert "20 events" in shown


def test_plain_lines_elsewhere_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(long_work, "_REPORT_EVERY", -1)
    LongWork(OutputWrapper(file), "purging", "rows").follow(STEPS)
    first, second = file.getvalue().splitlines()
    assert first.startswith("Purging: 50%, 10 rows, ")
    assert first.endswith(" s left")
    assert second.startswith("Purging: 100%, 20 rows")
    assert "\x1b" not in file.getvalue()


def test_short_work_needs_no_line() -> None:
    file = io.StringIO()
    LongWork(OutputWrapper(file), "purging").follow(STEPS)
    assert file.getvalue() == ""


def test_nothing_to_do() -> None:
    assert LongWork(OutputWrapper(io.StringIO()), "purging").follow([]).done == 0


@pytest.mark.parametrize(
    ("first", "now", "end", "share"),
    [(0, 5, 10, 0.5), (0, 0, 10, 0), (0, 20, 10, 1), (3, 3, 3, 1), (-10, -4, 0, 0.6)],
)
def test_share(first: float, now: float, end: float, share: float) -> None:
    assert share_of(first, now, end) == pytest.approx(share)
