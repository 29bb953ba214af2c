"""What the outbound storm says at its end: one JSON line on stdout, and when it is content."""

from __future__ import annotations

import json

from ..voice import Finding
from .checker import Verdict


def line(seed: int, mode: str, faults: int, verdict: Verdict, seconds: float) -> str:
    """Return the JSON line."""
    return json.dumps(
        {
            "storm": "outbound",
            "seed": seed,
            "mode": mode,
            "faults": faults,
            "committed": verdict.committed,
            "published": verdict.published,
            "lost": len(verdict.lost),
            "duplicates": len(verdict.duplicates),
            "order_violations": len(verdict.order_violations),
            "phantoms": len(verdict.phantoms),
            "seconds": round(seconds, 1),
        }
    )


def wrong(verdict: Verdict, wanted: int, exactly_once: bool) -> list[Finding]:
    """Return what breaks a promise; empty if the storm was weathered.

    Args:
        verdict: the checker's.
        wanted: how many events were to be committed at least.
        exactly_once: whether repeats are forbidden too.
    """
    found: list[Finding] = [*verdict.lost, *verdict.order_violations, *verdict.phantoms]
    if exactly_once:
        found += verdict.duplicates
    if verdict.committed < wanted:
        found.append(f"only {verdict.committed} of {wanted} events were committed in time")
    return found
