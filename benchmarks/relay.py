"""The relay against a bare ``produce()`` loop of the same bytes to the same broker.

``make bench-relay EVENTS=100000`` prints one JSON line. The loop has its events in memory, reads
and records nothing, and so is a limit and no peer.
"""

from __future__ import annotations

import argparse
import json
import os
from statistics import median
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

from django.core.management import call_command  # noqa: E402  # Django comes first

from benchmarks import drain, raw  # noqa: E402  # likewise
from benchmarks.filling import empty, fill  # noqa: E402  # likewise
from benchmarks.holding import transaction_held_open  # noqa: E402  # likewise
from benchmarks.topics import make_topic  # noqa: E402  # likewise
from benchmarks.wal import Wal  # noqa: E402  # likewise
from kafka_integration.models import OutboxDelivery  # noqa: E402  # likewise

_RAW_EVENTS = 50_000


def run(events: int, batch_size: int, hold: bool) -> dict[str, Any]:
    """Measure once.

    Args:
        events: size of the backlog.
        batch_size: of the relay.
        hold: whether a transaction is open from before the backlog until after it is drained.
    """
    topic = make_topic()
    empty()
    with transaction_held_open(hold):
        fill(topic, events)
        loop = raw.measure(topic, min(events, _RAW_EVENTS))
        before = Wal.now()
        drained = drain.measure(batch_size)
        after = Wal.now()
    assert OutboxDelivery.objects.count() == events, "the relay did not send everything"
    rate = drained.rate(events)
    return {
        "events_per_s": round(rate),
        "raw_events_per_s": round(loop),
        "ratio_to_raw": round(rate / loop, 3),
        "start_s": round(drained.start_seconds, 2),
        "seconds": round(drained.seconds, 2),
        "rss_mb": round(drained.rss_mb),
        "wal_bytes_per_event": round((after.bytes - before.bytes) / events),
        "wal_full_page_images": after.images - before.images,
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure."""
    return {name: median(found[name] for found in runs) for name in runs[0]}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=1, help="print the medians of so many")
    parser.add_argument(
        "--hold", action="store_true", help="keep a transaction open from before until afterwards"
    )
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    runs = [run(options.events, options.batch_size, options.hold) for _ in range(options.runs)]
    about = {"benchmark": "relay", "events": options.events, "batch_size": options.batch_size}
    print(json.dumps(about | {"runs": options.runs, "held": options.hold} | summary(runs)))


if __name__ == "__main__":
    main()
