"""How moments, keys and payloads read, on whatever page."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime

from django.utils import timezone

Bytes = bytes | memoryview

NOTHING = "-"
_SHOWN = 100_000  # characters of a payload; a page with more helps nobody

# A JSON document's words: strings, brackets and separators, and all other words.
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


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


def moment_text(moment: datetime) -> str:
    """Return a moment in the current time zone, to the second."""
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return f"{local:%Y-%m-%d %H:%M:%S}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 event", "2,000 events"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def key_text(key: Bytes | None) -> str:
    """Return a key as text, or in hexadecimal where it is none."""
    if key is None:
        return NOTHING
    text = _text(bytes(key))
    return f"0x{bytes(key).hex()}" if text is None else text


def payload_text(data: Bytes) -> tuple[str, str]:
    """Return what a payload is, in words, and the payload: JSON indented, no text in base64."""
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
    return f"{len(raw):,} bytes, {kind}", shown


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
