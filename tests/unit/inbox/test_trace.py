"""Which lines of a traceback are the project's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kafka_integration.errors import InvalidMessage
from kafka_integration.inbox.dispatch import call
from kafka_integration.inbox.trace import described, from_handler, worth_showing

from .messages import handler, message


def caught(action: Callable[[], object]) -> Exception:
    try:
        action()
    except Exception as error:  # noqa: BLE001  # that is what is asked for
        return error
    raise AssertionError("nothing was raised")


def test_the_place_is_the_projects_last_line_not_a_librarys() -> None:
    error = caught(lambda: json.loads("{"))
    assert described(error).startswith("JSONDecodeError: Expecting property name")
    assert described(error).endswith(f"({Path(__file__).relative_to(Path.cwd())}:27)")


def test_a_place_outside_the_working_directory_is_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"({__file__}:" in described(caught(lambda: 1 / 0))


def test_what_never_ran_has_no_place() -> None:
    assert described(ValueError("x")) == "ValueError: x"


@pytest.mark.django_db
def test_our_own_frames_are_left_out() -> None:
    def fail(event: object) -> None:
        raise ValueError

    error = caught(lambda: call(handler(fail), message()))  # type: ignore[arg-type]  # any argument
    error.__traceback__ = error.__traceback__.tb_next.tb_next  # type: ignore[union-attr]  # this test's frames
    kind, value, trace = from_handler(error)
    assert (kind, value) == (ValueError, error)
    assert trace is not None
    assert trace.tb_frame.f_code is fail.__code__


def test_an_error_of_ours_keeps_all_and_a_wrong_message_shows_none() -> None:
    error = caught(lambda: message().place(1))  # type: ignore[call-arg]  # fails on purpose
    assert from_handler(error)[2] is error.__traceback__
    assert worth_showing(error) is not None
    assert worth_showing(InvalidMessage("x")) is None
