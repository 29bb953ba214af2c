"""How bytes, moments and places look to a person."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

Bytes = bytes | memoryview

NOTHING = "-"
_SHOWN = 100_000  # characters of a payload; a page with more helps nobody
_SHORT = 80

# A JSON document's words: strings, brackets and separators, and all other words.
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


# A dotted name's parts: each with its dot, and a partition with its offset.
_PARTS = re.compile(r"\[.*|[^.\[]*\.|[^.\[]+")


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago ``moment`` was, in one unit: ``12 s``, ``3 min``, ``5 h``, ``40 d``."""
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 86400} d"


def aged(moment: datetime) -> SafeString:
    """Return the age of ``moment``; the moment itself shows when the pointer rests on it."""
    return format_html(
        '<time class="kafka-age" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment_text(moment),
        age(moment, timezone.now()),
    )


def moment_text(moment: datetime) -> str:
    """Return a moment in the current time zone, to the second."""
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return f"{local:%Y-%m-%d %H:%M:%S}"


def badge(status: str, words: str = "") -> SafeString:
    """Return a status as a coloured word, or as other words in its colour."""
    return format_html('<span class="kafka-status kafka-{}">{}</span>', status, words or status)


def short(text: str) -> SafeString | str:
    """Return the text's beginning; all of it shows when the pointer rests on it."""
    if not text:
        return NOTHING
    return format_html(
        '<span class="kafka-error" title="{}">{}</span>', text, Truncator(text).chars(_SHORT)
    )


def code(text: str) -> SafeString:
    """Return text in the typeface of identifiers."""
    return format_html('<code class="kafka-code">{}</code>', text)


def brief(text: str) -> SafeString:
    """Return an identifier for a narrow column: cut by the browser, whole under the pointer."""
    return format_html('<code class="kafka-code kafka-brief" title="{0}">{0}</code>', text)


def dotted(text: str) -> SafeString:
    """Return a dotted name that may break into lines after its dots, and nowhere else."""
    breaks = format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in _PARTS.findall(text)))
    return format_html('<span class="kafka-dotted">{}</span>', breaks)


def stacked(first: str | SafeString, second: str | SafeString) -> SafeString:
    """Return two facts in one cell, the lesser one below."""
    return format_html('{}<div class="kafka-lesser">{}</div>', first, second)


def place(topic: str, partition: int | None, offset: int | None) -> SafeString:
    """Return topic, partition and offset as one word, as ``topic[partition]@offset``."""
    return dotted(f"{topic}[{partition}]@{offset}")


def key_text(key: Bytes | None) -> str:
    """Return a key as text, or in hexadecimal where it is none."""
    if key is None:
        return NOTHING
    text = _text(bytes(key))
    return f"0x{bytes(key).hex()}" if text is None else text


def pretty(data: Bytes) -> SafeString:
    """Return a payload in ``<pre>``: JSON indented, other text as it is, else base64."""
    raw = bytes(data)
    text = _text(raw)
    if text is None:
        kind, shown = "no text, shown in base64", base64.b64encode(raw).decode("ascii")
    elif _is_json(text):
        kind, shown = "JSON", _indented(text)
    else:
        kind, shown = "no JSON, shown as it is", text
    if len(shown) > _SHOWN:
        kind, shown = f"{kind}, cut after {_SHOWN:,} characters", shown[:_SHOWN] + "…"
    return format_html(
        '<div class="kafka-payload"><p class="kafka-note">{} bytes, {}</p><pre>{}</pre></div>',
        f"{len(raw):,}",
        kind,
        shown,
    )


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> SafeString | str:
    """Return rows as a table, or a dash where there are none."""
    filled = [list(row) for row in rows]
    if not filled:
        return NOTHING
    head = format_html_join("", "<th>{}</th>", ((name,) for name in heads))
    body = format_html_join("", "<tr>{}</tr>", ((_cells(row),) for row in filled))
    return format_html(
        '<table class="kafka-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, body
    )


def header_table(headers: Iterable[tuple[str, Bytes | None]]) -> SafeString | str:
    """Return headers as a table; a value that is no text is shown in hexadecimal."""
    return table(("Name", "Value"), ((name, code(key_text(value))) for name, value in headers))


def _cells(row: Iterable[object]) -> SafeString:
    return format_html_join("", "<td>{}</td>", ((cell,) for cell in row))


def _text(raw: bytes) -> str | None:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _indented(text: str) -> str:
    """Return JSON with white space added and nothing else changed.

    Parsing and writing it anew would round numbers and drop repeated names.
    """
    lines, depth, previous = [""], 0, ""
    for word in _WORD.findall(text):
        if word in "]}":
            depth -= 1
        if previous and _breaks(previous, word):
            lines.append("  " * depth)
        lines[-1] += ": " if word == ":" else word
        if word in "[{":
            depth += 1
        previous = word
    return "\n".join(lines)


def _breaks(previous: str, word: str) -> bool:
    """Tell whether a new line starts between two words."""
    if word in "]}":
        return previous not in "[{"
    return previous in "[{,"
