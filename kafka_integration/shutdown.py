"""Ends a loop cleanly: when the operating system asks for it, or when its time is up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` once on SIGTERM or SIGINT inside the block, then handle both as before.

    So a second signal ends a process that does not come to an end by itself. Outside the main
    thread, where Python takes no signal handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: FrameType | None) -> None:
        restore()
        stop()

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield
    finally:
        restore()


@contextmanager
def stop_after(seconds: float | None, stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Call ``stop`` after ``seconds`` inside the block.

    Args:
        seconds: zero calls it at once, None never.
        stop: called from another thread.

    Yields:
        An event that is set once the time has run out.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        stop()

    timer = threading.Timer(seconds or 0, expire)
    if seconds is not None:
        timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
