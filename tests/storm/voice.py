"""What a storm says: progress on stderr, and the first of what it found."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol


class Difference(Protocol):
    """What a checker names; its text says all of it."""

    @property
    def kind(self) -> str:
        """In one word."""


Finding = Difference | str

_SHOWN = 10
_began = time.monotonic()


def say(text: str) -> None:
    """Tell a person what goes on."""
    print(f"storm {time.monotonic() - _began:6.1f} s  {text}", file=sys.stderr, flush=True)


def first(findings: Sequence[Finding]) -> Iterator[str]:
    """Name the first of each kind, and how many more there are."""
    kinds: dict[str, list[str]] = {}
    for one in findings:
        kinds.setdefault("" if isinstance(one, str) else one.kind, []).append(str(one))
    for texts in kinds.values():
        yield from texts[:_SHOWN]
        if len(texts) > _SHOWN:
            yield f"… and {len(texts) - _SHOWN} more of this kind"


def conclude(findings: Sequence[Finding], logs: Path, *, keep: bool) -> int:
    """Name what is wrong, keep or remove the logs, and return the exit code."""
    for text in first(findings):
        say(text)
    if findings or keep:
        say(f"the logs of all processes are in {logs}")
    else:
        shutil.rmtree(logs)
    return 1 if findings else 0
