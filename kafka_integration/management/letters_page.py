"""Letters as a table, as a page, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from ..events.envelope import headers_to_json
from ..events.topics import dead_letter_topic
from ..inbox.advice import Advice
from ..models import InboxRecord, InboxStatus
from ..readable import age, key_text, moment_text, payload_text

_KEPT = 12


def printable(text: str) -> str:
    """Return text that cannot command a terminal; lines stay lines."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def as_json(record: InboxRecord, *, whole: bool = False) -> dict[str, Any]:
    """Return a letter, ready for JSON; times as ISO 8601.

    Args:
        whole: with headers and payload, in the forms in which the inbox keeps headers: text, or
            ``{"base64": …}``.
    """
    names = ("group", "topic", "partition", "offset", "source", "event_id", "status", "handler")
    found: dict[str, Any] = {"number": record.pk} | {name: getattr(record, name) for name in names}
    found |= {
        "key": None if record.key is None else key_text(record.key),
        "attempts": record.attempts,
        "error": record.last_error,
        "created_at": record.created_at.isoformat(),
        "updated_at": record.updated_at.isoformat(),
    }
    if whole:
        message = record.message()
        [[_, value]] = headers_to_json([("value", message.value)])  # type: ignore[list-item]  # it takes null values
        found |= {"timestamp": record.timestamp, "headers": record.headers, "value": value}
    return found


def print_list(
    console: Console, letters: Sequence[InboxRecord], now: datetime, *, statuses: bool
) -> None:
    """Write a table that fits the width, a line a letter.

    Args:
        statuses: with a column for the status.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("no.", justify="right", no_wrap=True)
    for name in ("status",) * statuses:
        table.add_column(name, no_wrap=True)
    for name in ("group", "topic", "key"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=_KEPT)
    table.add_column("age", justify="right", no_wrap=True)
    table.add_column("tries", justify="right", no_wrap=True)
    table.add_column("error", no_wrap=True, overflow="ellipsis", min_width=2 * _KEPT, ratio=1)
    for record in letters:
        status = (str(record.status),) * statuses
        names = (record.group, record.topic, _line(key_text(record.key)))
        numbers = (age(record.created_at, now), f"{record.attempts:,}")
        table.add_row(f"{record.pk}", *status, *names, *numbers, _line(record.last_error))
    console.print(table)


def print_letter(console: Console, record: InboxRecord, advice: Iterable[Advice]) -> None:
    """Write all that is known about one letter, and what to do next."""
    label = InboxStatus(record.status).label.lower()
    console.print(f"Letter {record.pk}: {label}", style="bold", soft_wrap=True)
    _pairs(console, _facts(record))
    if record.last_error:
        _section(console, "Reason", record.last_error)
    message = record.message()
    if message.headers:
        console.print("\nHeaders", style="bold")
        _pairs(console, ((name, key_text(value)) for name, value in message.headers))
    if record.status != InboxStatus.DONE:
        _payload(console, message.value)
    console.print("\nWhat to do next", style="bold")
    for step in advice:
        console.print(f"  {step.text}", soft_wrap=True)
        if step.command:
            console.print(f"    {step.command}", style="cyan", soft_wrap=True)


def _facts(record: InboxRecord) -> Iterable[tuple[str, str]]:
    message = record.message()
    yield "group", record.group
    yield "handler", record.handler or "none was found for it"
    yield "came from", message.place()
    yield "event", f"{record.event_id} of {record.source}"
    yield "type", message.header("ce_type") or "it does not say"
    yield "key", key_text(record.key)
    yield "attempts", f"{record.attempts:,}"
    yield "given up", moment_text(record.created_at)
    yield "changed", moment_text(record.updated_at)
    if record.status == InboxStatus.DEAD:
        yield "copy in Kafka", f"{dead_letter_topic(record.topic)}, until its retention ends"


def _payload(console: Console, value: bytes | None) -> None:
    if value is None:
        _section(console, "Payload", "null (no value at all)")
    else:
        kind, text = payload_text(value)
        _section(console, f"Payload ({kind})", text)


def _section(console: Console, title: str, text: str) -> None:
    console.print(f"\n{title}", style="bold")
    for line in printable(text).split("\n"):
        console.print(f"  {line}", soft_wrap=True)


def _pairs(console: Console, pairs: Iterable[tuple[str, str]]) -> None:
    shown = [(_line(name), printable(text)) for name, text in pairs]
    width = max(len(name) for name, _ in shown)
    for name, text in shown:
        console.print(f"  {name:<{width}}  {text}", soft_wrap=True)


def _line(text: str) -> str:
    return printable(text).replace("\n", " ").replace("\t", " ")
