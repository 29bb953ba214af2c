"""What the commands have in common that act on many rows: questions, progress, results, endings."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import IO, Any, cast

from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console as RichConsole

from ..step import Step
from .long_work import LongWork

_STOPPED = 130
# Lines that are not cut where nobody looks at them: a file, a pipe.
_UNBOUNDED = 1_000


class Console:
    """A command's hands and mouth; the sub-commands are methods of its heirs.

    Args:
        out: where results go.
        err: where progress goes.
        options: the sub-command's arguments.
    """

    def __init__(self, out: OutputWrapper, err: OutputWrapper, options: Mapping[str, Any]) -> None:
        self._out = out
        self._err = err
        self._options = options
        self._using: str = options["database"]

    def _do(self, doing: str, steps: Iterable[Step], noun: str = "events") -> tuple[LongWork, Step]:
        work = LongWork(self._err, doing, noun)
        return work, work.follow(steps)

    def _tell(self, text: str, **data: Any) -> None:
        self._out.write(json.dumps(data) if self._options["json"] else text)

    def _ask(self, consequence: str) -> None:
        if self._options["yes"]:
            return
        if not sys.stdin.isatty():
            raise CommandError(f"{consequence} Add --yes if you mean it.", returncode=2)
        if input(f"{consequence} Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was done.")

    def _unless(self, good: object, problem: str) -> CommandError | None:
        return None if good else CommandError(problem)

    def _ending(self, work: LongWork, how: str = "Run it again to go on.") -> CommandError | None:
        if not work.stopped:
            return None
        return CommandError(f"Stopped; what was done stands. {how}", returncode=_STOPPED)


def page(out: OutputWrapper, *, color: bool) -> RichConsole:
    """Return what lays tables out for ``out``: as wide as the terminal, elsewhere as they need."""
    return RichConsole(
        file=cast("IO[str]", out),
        width=None if out.isatty() else _UNBOUNDED,
        highlight=False,
        markup=False,
        emoji=False,
        no_color=not color or None,
    )
