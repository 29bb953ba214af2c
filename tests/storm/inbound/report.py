"""What the inbound storm says at its end: one JSON line on stdout, and when it is content."""

from __future__ import annotations

import json

from ..voice import Finding
from .checker import Verdict


def line(seed: int, faults: int, guests: int, verdict: Verdict, seconds: float) -> str:
    """Return the JSON line.

    Args:
        guests: how often a member came only to leave again.
    """
    return json.dumps(
        {
            "storm": "inbound",
            "seed": seed,
            "faults": faults,
            "guests": guests,
            "events": verdict.events,
            "sent": verdict.sent,
            "handled": verdict.handled,
            "lost": len(verdict.lost),
            "duplicates": len(verdict.duplicates),
            "order_violations": len(verdict.order_violations),
            "phantoms": len(verdict.phantoms),
            "poison": verdict.poison,
            "dead_lettered": verdict.dead_lettered,
            "missing_letters": len(verdict.missing_letters),
            "wrong_letters": len(verdict.wrong_letters),
            "repeated_letters": verdict.repeated,
            "seconds": round(seconds, 1),
        }
    )


def wrong(verdict: Verdict, wanted: int) -> list[Finding]:
    """Return what breaks a promise; empty if the storm was weathered.

    Args:
        verdict: the checker's.
        wanted: how many different events were to be sent.
    """
    found: list[Finding] = [*verdict.differences]
    if verdict.events < wanted:
        found.append(f"only {verdict.events} of {wanted} events were sent in time")
    return found
