"""A flag that signal handlers and other threads set."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from kafka_integration.flag import Flag

_STORM = """
import signal, time
from kafka_integration.flag import Flag

end, rounds = time.monotonic() + 3, 0
while time.monotonic() < end:
    flag = Flag()
    signal.signal(signal.SIGALRM, lambda *_: flag.set())
    signal.setitimer(signal.ITIMER_REAL, 1e-5 + rounds % 97 * 1e-6)
    while not flag.is_set():
        flag.wait(1e-5)
    rounds += 1
print(rounds)
"""


def test_a_signal_handler_may_set_it_at_any_moment_of_a_wait() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STORM], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_a_wait_ends_when_it_is_set() -> None:
    flag = Flag()
    threading.Timer(0.05, flag.set).start()

    assert flag.wait(60)
    assert flag.is_set()


def test_all_who_wait_are_woken() -> None:
    flag = Flag()
    woken: list[bool] = []
    waiting = [threading.Thread(target=lambda: woken.append(flag.wait(60))) for _ in range(5)]
    for thread in waiting:
        thread.start()
    flag.set()
    for thread in waiting:
        thread.join(60)

    assert woken == [True] * 5


def test_a_wait_for_nothing_ends_after_its_time() -> None:
    flag, before = Flag(), time.monotonic()

    assert not flag.wait(0.05)
    assert time.monotonic() - before >= 0.05


def test_what_is_taken_back_is_waited_for_again() -> None:
    flag = Flag()
    flag.set()
    flag.clear()

    assert not flag.is_set()
    assert not flag.wait(0)
    flag.set()
    assert flag.wait(0)
