"""The benchmark of the consumer runs, and says what it promises to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_benchmark_prints_one_json_line(figures_of: Callable[..., dict[str, Any]]) -> None:
    figures = figures_of("consume", "--events", "300", "--slow", "40", "--rounds", "1")
    assert (figures["events"], figures["slow_events"]) == (300, 40)
    assert figures["batched_events_per_s"] > 0
    assert figures["ratio_to_handlers_alone"] > 0
    assert figures["ratio_to_one_by_one"] > 0
    # Each waits for 50 ms, whatever the machine does meanwhile.
    assert figures["slow_serial_events_per_s"] <= 20
    assert figures["slow_parallel_events_per_s"] > figures["slow_serial_events_per_s"]
