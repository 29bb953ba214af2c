"""Signals that end a loop."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from kafka_integration.shutdown import stop_after, stopping_on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_stops_and_the_second_does_what_it_did_before(number: int) -> None:
    seen: list[str] = []
    before = signal.signal(number, lambda *_: seen.append("before"))
    try:
        with stopping_on_signals(lambda: seen.append("stop")):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert seen == ["stop", "before", "before"]


def test_handlers_are_as_before_when_no_signal_came() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopping_on_signals(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_touches_no_handler() -> None:
    found: list[object] = []

    def look() -> None:
        with stopping_on_signals(lambda: None):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.parametrize("seconds", [0, 0.0, 0.05])
def test_time_that_is_up_stops(seconds: float) -> None:
    stopped = threading.Event()
    with stop_after(seconds, stopped.set) as expired:
        assert stopped.wait(10)
        assert expired.is_set()


def test_a_block_that_ends_in_time_is_not_stopped() -> None:
    stopped = threading.Event()
    for seconds in (None, 60):
        with stop_after(seconds, stopped.set) as expired:
            assert not expired.is_set()
        assert not expired.is_set()
    assert not stopped.is_set()
