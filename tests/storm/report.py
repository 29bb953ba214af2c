"""What the storm says: progress on stderr, one JSON line on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

from .checker import Difference, Verdict

Finding = Difference | str

_SHOWN = 10
_began = time.monotonic()


def say(text: str) -> None:
    """Tell a person what goes on."""
    print(f"storm {time.monotonic() - _began:6.1f} s  {text}", file=sys.stderr, flush=True)


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


def first(differences: list[Finding]) -> Iterator[str]:
    """Name the first of each kind, and how many more there are."""
    kinds: dict[str, list[str]] = {}
    for one in differences:
        kinds.setdefault(one.kind if isinstance(one, Difference) else "", []).append(str(one))
    for texts in kinds.values():
        yield from texts[:_SHOWN]
        if len(texts) > _SHOWN:
            yield f"… and {len(texts) - _SHOWN} more of this kind"
