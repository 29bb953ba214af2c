"""How bytes, moments and places look to a person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from ..readable import NOTHING, Bytes, age, key_text, moment_text, payload_text

_SHORT = 80

# A dotted name's parts: each with its dot, and a partition with its offset.
_PARTS = re.compile(r"\[.*|[^.\[]*\.|[^.\[]+")


def aged(moment: datetime) -> SafeString:
    """Return the age of ``moment``; the moment itself shows when the pointer rests on it."""
    return format_html(
        '<time class="kafka-age" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment_text(moment),
        age(moment, timezone.now()),
    )


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


def pretty(data: Bytes) -> SafeString:
    """Return a payload in ``<pre>``: JSON indented, other text as it is, else base64."""
    kind, shown = payload_text(data)
    return format_html(
        '<div class="kafka-payload"><p class="kafka-note">{}</p><pre>{}</pre></div>',
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
