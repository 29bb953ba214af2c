"""Processes of a storm: an end that nothing explains is a surprise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL

from tests.storm.crew import Crew, Member

SECONDS = 30.0
SLEEP = "import time; time.sleep(600)"


@contextmanager
def crew(
    folder: Path, code: str, excuse: Callable[[Member, int], bool] | None = None
) -> Iterator[Crew]:
    member = Member("one", lambda life: ["-c", code], {}, folder / "one.log")
    found = Crew([member], excuse) if excuse else Crew([member])
    try:
        found.revive()
        yield found
    finally:
        found.kill()


def wait(one: Crew) -> None:
    [member] = one.members
    assert member.process is not None
    member.process.wait(SECONDS)


def test_who_dies_is_started_again_and_an_end_of_its_own_is_a_surprise(tmp_path: Path) -> None:
    with crew(tmp_path, "raise SystemExit(3)") as one:
        wait(one)
        one.revive()
        assert one.members[0].lives == 2
        [surprise] = one.surprises
        assert surprise.startswith("one ended by itself with 3")


def test_an_end_that_a_signal_or_an_excuse_explains_is_none(tmp_path: Path) -> None:
    with crew(tmp_path, SLEEP) as one:
        one.members[0].send(SIGKILL)
        wait(one)
        one.revive()
        assert (one.members[0].lives, one.surprises) == (2, [])
    with crew(tmp_path, "raise SystemExit(3)", lambda member, code: code == 3) as one:
        wait(one)
        one.revive()
        assert one.surprises == []


def test_after_an_end_it_may_come_again_and_after_a_stop_not(tmp_path: Path) -> None:
    with crew(tmp_path, SLEEP) as one:
        one.end(SECONDS)
        one.revive()
        assert one.members[0].lives == 2
        one.stop(SECONDS)
        one.revive()
        assert one.members[0].lives == 2
        assert one.surprises == []


def test_who_does_not_end_when_told_is_killed_and_a_surprise(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = (
        f"import pathlib, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(ready)!r}).touch(); {SLEEP}"
    )
    with crew(tmp_path, stubborn) as one:
        deadline = time.monotonic() + SECONDS
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        one.stop(0.2)
        assert one.surprises == ["one did not end when it was told to"]
