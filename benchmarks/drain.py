"""A relay that drains the outbox in a process of its own, and reports itself as JSON."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

from kafka_integration.garbage import collecting_rarely  # noqa: E402  # Django comes first
from kafka_integration.outbox.relay import Relay  # noqa: E402  # likewise
from kafka_integration.signals import batch_relayed  # noqa: E402  # likewise


@dataclass(frozen=True)
class Drain:
    """How a relay drained the outbox.

    Args:
        seconds: from its start to its end.
        start_seconds: of these, until the first batch was recorded; half a second of it is how
            long an idempotent producer takes to begin.
        first: how many events that was.
        rss_mb: the most memory that was resident.
    """

    seconds: float
    start_seconds: float
    first: int
    rss_mb: float

    def rate(self, events: int) -> float:
        """Return events a second once it was under way."""
        return (events - self.first) / (self.seconds - self.start_seconds)


def measure(batch_size: int) -> Drain:
    """Drain the outbox in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.drain", "--batch-size", str(batch_size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Drain(**json.loads(done.stdout))


class _First:
    """When the first batch was recorded, and how many events it had."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.events = 0
        self._started = time.perf_counter()
        batch_relayed.connect(self._note)

    def _note(self, published: int, **more: Any) -> None:
        if not self.events:
            self.seconds, self.events = time.perf_counter() - self._started, published


def drain(batch_size: int) -> Drain:
    """Drain the outbox here."""
    started = time.perf_counter()
    first = _First()
    with collecting_rarely():  # as kafka_relay does
        Relay(batch_size=batch_size).drain()
    seconds = time.perf_counter() - started
    return Drain(seconds, first.seconds, first.events, _peak_mb())


def _peak_mb() -> float:
    # Not getrusage(): its peak is handed on by the process that started this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status names no VmHWM; this benchmark needs Linux")


def main() -> None:
    """Parse, drain, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, required=True)
    print(json.dumps(asdict(drain(parser.parse_args().batch_size))))


if __name__ == "__main__":
    main()
