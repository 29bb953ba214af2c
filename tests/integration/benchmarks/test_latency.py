"""The benchmark of latency runs, and says what it promises to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_benchmark_prints_one_json_line(figures_of: Callable[..., dict[str, Any]]) -> None:
    small = ["--events", "20", "--warm-up", "2", "--quiet-rounds", "1", "--idle-seconds", "1"]
    figures = figures_of("latency", *small)
    assert figures["events"] == 20
    for road in ("", "after_commit_", "raw_"):
        shown = [figures[f"{road}{cut}_ms"] for cut in ("p50", "p99", "max")]
        assert 0 < shown[0] <= shown[1] <= shown[2], road
    # The same arrivals, counted from just before COMMIT and from its answer.
    assert figures["p50_ms"] > figures["after_commit_p50_ms"]
    assert figures["quiet_max_ms"] >= figures["quiet_p50_ms"] > 0
    assert figures["idle_transactions_per_s"] > 0
