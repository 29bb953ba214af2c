"""The outbox's state as a page of tables, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Any

from django.core.management.base import OutputWrapper
from rich.table import Table

from ..outbox.backlog_report import BOUND, BacklogReport, Count, Waiting
from ..outbox.diagnosis import Finding, ranges
from ..outbox.sessions import Sessions
from .console import page

_QUALIFIED = {"exact": "{:,}", "at least": "at least {:,}", "estimate": "about {:,}"}


class OutboxStats:
    """One look at the outbox.

    Args:
        report: what waits.
        sessions: the database's sessions, or None.
        findings: why it waits.
        now: when we looked.
    """

    def __init__(
        self,
        report: BacklogReport,
        sessions: Sessions | None,
        findings: Iterable[Finding],
        now: datetime,
    ) -> None:
        self._report = report
        self._sessions = sessions
        self._findings = list(findings)
        self._now = now

    def as_json(self) -> dict[str, Any]:
        """Return everything, ready for JSON; times as ISO 8601, ages in seconds."""
        found: dict[str, Any] = self._plain(asdict(self._report))
        found["sessions"] = asdict(self._sessions) if self._sessions else None
        found["stuck"] = [asdict(finding) for finding in self._findings]
        return found

    def print(self, out: OutputWrapper, *, color: bool = True) -> None:
        """Write it for people."""
        console = page(out, color=color)
        lead = (self._relays(), self._leases())
        for part in (self._counts(), *self._waiting(), self._holds(), *lead):
            console.print(part, soft_wrap=isinstance(part, str))
        if self._sessions:
            console.print(self._open_sessions())
        for finding in self._findings:
            console.print(f"! {finding.what}", style="yellow", soft_wrap=True)
            console.print(f"  {finding.cure}", soft_wrap=True)
        if not self._findings:
            console.print("Nothing is stuck.", style="green")

    def _counts(self) -> str:
        report = self._report
        kinds = {count.kind for count in (report.queued, report.events, report.sent)}
        note = f" Rows were counted up to {BOUND:,}." if kinds != {"exact"} else ""
        return (
            f"Waiting: {_number(report.queued)}. Held keys: {_number(report.held_keys)}. "
            f"Kept: {_number(report.events)} events; deliveries: {_number(report.sent)} sent, "
            f"{_number(report.discarded)} discarded.{note}"
        )

    def _waiting(self) -> Iterable[Table]:
        if self._report.by_topic:
            yield self._groups("topic", self._report.by_topic)
            yield self._groups("shard", self._report.by_shard)

    def _groups(self, name: str, groups: Iterable[Waiting]) -> Table:
        table = _table(name, "waiting", "held", "later", "oldest")
        for group in groups:
            numbers = (f"{n:,}" for n in (group.events, group.held, group.later))
            table.add_row(str(group.name), *numbers, self._age(group.oldest))
        return table

    def _holds(self) -> Table | str:
        if not self._report.holds:
            return ""
        table = _table("held key", "topic", "since", "behind it", "reason")
        for hold in self._report.holds:
            since = self._age(hold.since)
            table.add_row(hold.key, hold.topic, since, f"{hold.behind:,}", hold.reason)
        return table

    def _relays(self) -> Table | str:
        if not self._report.relays:
            return "No relay is alive."
        table = _table("living relay", "shards")
        for relay in self._report.relays:
            table.add_row(relay.name, ranges(list(relay.shards)) or "none; it stands by")
        return table

    def _leases(self) -> Table | str:
        if not self._report.leases:
            return "No relay has ever led here."
        table = _table("shards", "relay", "lease ends in")
        for owner, leases in groupby(
            sorted(self._report.leases, key=lambda lease: (lease.owner, lease.shard)),
            lambda lease: lease.owner,
        ):
            held = list(leases)
            seconds = min((lease.seconds or 0) for lease in held)
            shards = ranges([lease.shard for lease in held])
            table.add_row(shards, owner or "nobody", f"{seconds:.0f} s" if owner else "-")
        return table

    def _open_sessions(self) -> Table | str:
        sessions = self._sessions.open if self._sessions else ()
        if not sessions:
            return "No other database session has a transaction open."
        table = _table("session", "user", "state", "open for", "blocks", "statement")
        for s in sessions:
            age = "hidden" if s.seconds is None else _span(s.seconds)
            blocks = ", ".join(map(str, s.blocks)) or "-"
            table.add_row(str(s.pid), s.user, s.state, age, blocks, s.query)
        return table

    def _age(self, moment: datetime) -> str:
        return _span((self._now - moment).total_seconds())

    def _plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._plain(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._plain(item) for item in value]
        return value.isoformat() if isinstance(value, datetime) else value


def _number(count: Count) -> str:
    return _QUALIFIED[count.kind].format(count.number)


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column in ("topic", "held key"))
    return table
