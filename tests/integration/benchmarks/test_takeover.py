"""The benchmark of takeovers runs, and says what it promises to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_benchmark_prints_one_json_line(figures_of: Callable[..., dict[str, Any]]) -> None:
    figures = figures_of("takeover", "--rounds", "1", "--lease", "6")
    assert figures["rounds"] == 1
    assert figures["lease_s"] == 6
    # A lease is renewed after a third of it, so nobody can take over before the rest is over.
    assert figures["crash_s"] >= figures["crash_median_s"] > 3
    assert figures["clean_s"] >= figures["clean_median_s"] > 0
