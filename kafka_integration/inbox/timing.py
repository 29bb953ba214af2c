"""How long handlers take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from .. import signals
from ..events.registry import Handler


@contextmanager
def timed(handler: Handler) -> Iterator[None]:
    """Tell how long the block took in which ``handler`` ran, also where it raised."""
    started = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - started
        signals.handler_ended.send(sender=Handler, handler=handler, seconds=seconds)
