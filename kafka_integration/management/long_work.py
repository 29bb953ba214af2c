"""How far long work has come: a bar with rate and time left on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, cast

from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..flag import Flag
from ..shutdown import stopping_on_signals
from ..step import Step

_REPORT_EVERY = 5.0


class LongWork:
    """Follows work that goes in steps, and ends it after a step when a signal asks for that.

    Args:
        out: where to write; standard error, so that it does not mix with results.
        doing: what is done, as a participle: "replaying".
        noun: of what: "events".
    """

    def __init__(self, out: OutputWrapper, doing: str, noun: str = "events") -> None:
        self._out = out
        self._doing = doing.capitalize()
        self._noun = noun
        self._stop = Flag()
        self._started = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether a signal ended it early."""
        return self._stop.is_set()

    def follow(self, steps: Iterable[Step]) -> Step:
        """Do the work to its end or to a signal; return how far it has come."""
        reached = Step(0)
        show = self._on_terminal if self._out.isatty() else self._as_lines
        with stopping_on_signals(self._stop.set):
            for step in show(steps):
                reached = step
                if self._stop.is_set():
                    break
        return reached

    def _on_terminal(self, steps: Iterable[Step]) -> Iterable[Step]:
        # Not by way of Django's wrapper, which ends all that is written with a new line.
        console = Console(file=cast(Any, self._out)._out)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[count]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(self._doing, total=1.0, count="")
            for step in steps:
                progress.update(task, completed=step.share, count=self._count(step))
                yield step

    def _as_lines(self, steps: Iterable[Step]) -> Iterable[Step]:
        reported = self._started
        for step in steps:
            if time.monotonic() - reported > _REPORT_EVERY:
                reported = time.monotonic()
                line = f"{self._doing}: {step.share:.0%}, {self._count(step)}{self._left(step)}"
                self._out.write(line, style_func=str)  # it is no error, so not in red
                self._out.flush()
            yield step

    def _count(self, step: Step) -> str:
        seconds = max(0.001, time.monotonic() - self._started)
        return f"{step.done:,} {self._noun}, {step.done / seconds:,.0f}/s"

    def _left(self, step: Step) -> str:
        if not 0 < step.share < 1:
            return ""
        passed = time.monotonic() - self._started
        return f", about {passed / step.share - passed:,.0f} s left"
