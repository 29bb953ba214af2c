"""Numbers as arguments of commands: what is out of range is told at once, with its name."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError


def seconds(text: str) -> float:
    """Return the seconds that ``text`` means; zero or more, whole or not."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise ArgumentTypeError(f"{text!r} is no number of seconds; write it as in 30 or 0.5")
    return found


def count(text: str) -> int:
    """Return the number that ``text`` means; one or more."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is no number of one or more")
    return int(text)
