"""Draws ``docs/pictures/`` from ``benchmarks/results.json``, the benchmarks' own JSON lines.

``make pictures`` draws; to take new figures over first, give their lines to
``python -m benchmarks.pictures --take`` on its standard input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.chart import Bar, Chart

_ROOT = Path(__file__).resolve().parents[1]
RESULTS = _ROOT / "benchmarks/results.json"
PICTURES = _ROOT / "docs/pictures"

Figures = Mapping[str, Any]


def relay(found: Figures) -> Chart:
    """Draw ``make bench-relay``."""
    ours, raw = found["events_per_s"], found["raw_events_per_s"]
    text = f"{ours:,} ({found['ratio_to_raw']:.2f} of the loop)"
    return Chart(
        "Relay: draining a backlog",
        f"{found['events']:,} events in batches of {found['batch_size']:,}; events a second, "
        "longer is better",
        [
            Bar("kafka_relay", ours, text, raw / 2),
            Bar("bare produce() loop", raw, f"{raw:,}", is_ours=False),
        ],
    )


def latency(found: Figures) -> Chart:
    """Draw ``make bench-latency``."""

    def bar(label: str, name: str, target: float | None = None) -> Bar:
        value = found[name]
        return Bar(label, value, f"{value:.1f} ms", target, is_ours=target is not None)

    return Chart(
        "Latency: from commit to a consumer",
        f"{found['events']} events, one at a time; load average {found['load']} on two cores; "
        "shorter is better",
        [
            bar("relay, median", "p50_ms", 10),
            bar("relay, 99th percentile", "p99_ms", 50),
            bar("Kafka alone, median", "raw_p50_ms"),
            bar("Kafka alone, 99th", "raw_p99_ms"),
        ],
    )


def capture(found: Figures) -> Chart:
    """Draw ``make bench-capture``."""

    def bar(label: str, name: str, target: float) -> Bar:
        ratio, (published, plain) = found[f"{name}_ratio"], found[f"{name}_ms"]
        return Bar(label, ratio, f"{ratio:.2f} times ({published:.2f} to {plain:.2f} ms)", target)

    return Chart(
        "Capture: what events add to writing",
        "Time with events as a multiple of the time without; shorter is better",
        [
            bar("save() in atomic", "save", 1.6),
            bar("bare save()", "bare_save", 3),
            bar(f"bulk_create of {found['bulk_rows']:,}", "bulk", 1.5),
        ],
    )


def takeover(found: Figures) -> Chart:
    """Draw ``make bench-takeover``."""

    def bar(label: str, name: str, target: float) -> Bar:
        return Bar(label, found[name], f"{found[name]:.2f} s", target)

    lease = found["lease_s"]
    return Chart(
        "Takeover: how long a relay's shards stand still",
        f"Two relays, leases of {lease:g} s, {found['rounds']} rounds of each kind; load average "
        f"{found['load']} on two cores",
        [
            bar("killed, worst", "crash_s", lease + 1),
            bar("killed, median", "crash_median_s", lease + 1),
            bar("asked to end, worst", "clean_s", 0.5),
            bar("asked to end, median", "clean_median_s", 0.5),
        ],
    )


CHARTS = {chart.__name__: chart for chart in (relay, latency, capture, takeover)}


def pictures(results: Mapping[str, Figures]) -> dict[str, str]:
    """Return the pictures of these results as SVG, by the name of their file."""
    return {f"{name}.svg": draw(results[name]).svg() for name, draw in CHARTS.items()}


def taken(results: Mapping[str, Figures], lines: Iterable[str]) -> dict[str, Figures]:
    """Return the results with those that JSON lines of benchmarks hold."""
    found = [json.loads(line) for line in lines if line.startswith('{"benchmark"')]
    return {**results, **{figures["benchmark"]: figures for figures in found}}


def main() -> None:
    """Parse, take, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--take", action="store_true", help="read JSON lines of benchmarks first")
    results = json.loads(RESULTS.read_text())
    if parser.parse_args().take:
        results = taken(results, sys.stdin)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    PICTURES.mkdir(exist_ok=True)
    for name, picture in pictures(results).items():
        (PICTURES / name).write_text(picture)


if __name__ == "__main__":
    main()
