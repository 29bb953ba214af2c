"""What came of dry runs: one told in full, many told by their errors."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console

from ..inbox.rehearsal import Rehearsal, Verdict
from ..readable import counted
from .letters_page import printable

_IN_FULL = 3
_ERRORS = 20
_NOTHING_LEFT = (
    "What the handlers wrote to the databases was rolled back, and no letter was changed. "
    "on_commit hooks run only after a commit, so none ran: {:,} registered. What a handler does "
    "elsewhere (mails, requests) has happened."
)
_WORDS = {
    Verdict.FINE: ("would be handled", "green"),
    Verdict.FAILS: ("would fail again", "red"),
    Verdict.UNDECIDED: ("could not be tried", "yellow"),
}


class DryRunReport:
    """Takes what came of each letter, and keeps no more of it than it will say."""

    def __init__(self) -> None:
        self._verdicts: Counter[Verdict] = Counter()
        self._errors: Counter[tuple[Verdict, str]] = Counter()
        self._first: list[Rehearsal] = []
        self._hooks = 0

    @property
    def tried(self) -> int:
        """How many letters were tried."""
        return self._verdicts.total()

    @property
    def bad(self) -> int:
        """How many would not be handled, or could not be tried."""
        return self.tried - self._verdicts[Verdict.FINE]

    def add(self, rehearsal: Rehearsal) -> None:
        """Take what came of one letter."""
        self._verdicts[rehearsal.verdict] += 1
        self._hooks += rehearsal.hooks
        if rehearsal.verdict is not Verdict.FINE:
            self._errors[rehearsal.verdict, rehearsal.error] += 1
        is_new = self._errors[rehearsal.verdict, rehearsal.error] == 1
        if len(self._first) < _IN_FULL and (is_new or not self._first):
            self._first.append(rehearsal)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        numbers: dict[str, Any] = {verdict.value: self._verdicts[verdict] for verdict in Verdict}
        errors = [
            {"verdict": verdict.value, "error": error, "letters": number}
            for (verdict, error), number in self._errors.most_common()
        ]
        return numbers | {
            "dry_run": True,
            "on_commit_hooks_not_run": self._hooks,
            "errors": errors,
            "first": [_as_json(rehearsal) for rehearsal in self._first],
        }

    def print(self, console: Console) -> None:
        """Write it for people."""
        for rehearsal in self._first:
            _print(console, rehearsal)
        if self.tried > len(self._first):
            self._print_errors(console)
        parts = (f"{self._verdicts[v]:,} {_WORDS[v][0]}" for v in Verdict if self._verdicts[v])
        console.print(f"Dry run of {counted(self.tried, 'letter')}: {', '.join(parts)}.")
        console.print(_NOTHING_LEFT.format(self._hooks), soft_wrap=True)

    def _print_errors(self, console: Console) -> None:
        for (verdict, error), number in self._errors.most_common(_ERRORS):
            words, style = _WORDS[verdict]
            text = f"{number:,} {words}: {printable(error)}"
            console.print(text, style=style, soft_wrap=True)
        more = len(self._errors) - _ERRORS
        if more > 0:
            console.print(f"… and {counted(more, 'other error')}.")


def _print(console: Console, rehearsal: Rehearsal) -> None:
    words, style = _WORDS[rehearsal.verdict]
    by = f", handler {rehearsal.handler}" if rehearsal.handler else ""
    text = f"Letter {rehearsal.record.pk} {words}{by}, after {rehearsal.seconds:.2f} s."
    console.print(text, style=style, soft_wrap=True)
    for line in printable(rehearsal.trace or rehearsal.error).rstrip().splitlines():
        console.print(f"  {line}", soft_wrap=True)


def _as_json(rehearsal: Rehearsal) -> dict[str, Any]:
    return {
        "number": rehearsal.record.pk,
        "verdict": rehearsal.verdict.value,
        "handler": rehearsal.handler,
        "error": rehearsal.error,
        "trace": rehearsal.trace,
        "on_commit_hooks_not_run": rehearsal.hooks,
        "seconds": round(rehearsal.seconds, 3),
    }
