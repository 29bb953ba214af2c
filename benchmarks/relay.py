"""The relay against a bare ``produce()`` loop of the same bytes to the same broker.

``make bench-relay EVENTS=100000`` prints one JSON line. The loop has its events in memory, reads
and records nothing, and so is a limit and no peer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

from django.core.management import call_command  # noqa: E402  # Django comes first

from benchmarks.filling import empty, fill  # noqa: E402  # likewise
from benchmarks.topics import make_topic  # noqa: E402  # likewise
from benchmarks.wal import Wal  # noqa: E402  # likewise
from kafka_integration.broker.producer import Delivery, EventProducer  # noqa: E402  # likewise
from kafka_integration.models import OutboxDelivery, OutboxQueue  # noqa: E402  # likewise
from kafka_integration.outbox.relay import Relay  # noqa: E402  # likewise
from kafka_integration.outbox.scan import COLUMNS, QueueRow  # noqa: E402  # likewise

_RAW_EVENTS = 50_000


def measure_raw(topic: str, events: int) -> float:
    """Return events a second of the bare loop, with the first ``events`` of the outbox."""
    rows = OutboxQueue.objects.with_hold().order_by("position").values_list(*COLUMNS)[:events]
    messages = [
        (bytes(row.value), row.key, row.wire_headers()) for row in map(QueueRow._make, rows)
    ]
    producer = EventProducer()
    answers: list[Delivery] = []
    producer.send_and_wait(topic, b"{}", "warm", [])
    started = time.perf_counter()
    for value, key, headers in messages:
        producer.send(topic, value, key, headers, answers.append)
    while producer.flush(1.0):
        pass
    seconds = time.perf_counter() - started
    failed = [answer for answer in answers if answer.error]
    assert not failed, failed[0]
    return len(messages) / seconds


def measure_relay(batch_size: int) -> dict[str, float]:
    """Drain the outbox in a process of its own; return its seconds and its memory."""
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "benchmarks.relay"]
    command += ["--child", "--batch-size", str(batch_size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def drain(batch_size: int) -> None:
    """Be the relay's process."""
    started = time.perf_counter()
    Relay(batch_size=batch_size).drain()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rss_mb": _peak_mb()}))


def run(events: int, batch_size: int) -> dict[str, Any]:
    """Measure once.

    Args:
        events: size of the backlog.
        batch_size: of the relay.
    """
    call_command("migrate", verbosity=0)
    topic = make_topic()
    empty()
    fill(topic, events)
    raw = measure_raw(topic, min(events, _RAW_EVENTS))
    before = Wal.now()
    child = measure_relay(batch_size)
    after = Wal.now()
    assert OutboxDelivery.objects.count() == events, "the relay did not send everything"
    rate = events / child["seconds"]
    return {
        "benchmark": "relay",
        "events": events,
        "batch_size": batch_size,
        "events_per_s": round(rate),
        "raw_events_per_s": round(raw),
        "ratio_to_raw": round(rate / raw, 3),
        "rss_mb": round(child["rss_mb"]),
        "wal_bytes_per_event": round((after.bytes - before.bytes) / events),
        "wal_full_page_images": after.images - before.images,
    }


def _peak_mb() -> float:
    # Not getrusage(): its peak is handed on by the process that started this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status names no VmHWM; this benchmark needs Linux")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=2_000)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        drain(options.batch_size)
    else:
        print(json.dumps(run(options.events, options.batch_size)))


if __name__ == "__main__":
    main()
