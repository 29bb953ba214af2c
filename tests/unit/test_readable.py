"""How moments, keys, payloads and numbers read."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from kafka_integration.readable import age, counted, key_text, payload_text

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=47, minutes=59), "47 h"),
        (timedelta(hours=48), "2 d"),
    ],
)
def test_age_has_one_unit(ago: timedelta, text: str) -> None:
    assert age(NOON - ago, NOON) == text


@pytest.mark.parametrize(
    ("key", "text"), [(None, "-"), (b"k\xc3\xa4", "kä"), (b"\xff", "0xff"), (memoryview(b"k"), "k")]
)
def test_key_is_text_or_hexadecimal(key: bytes | memoryview | None, text: str) -> None:
    assert key_text(key) == text


@pytest.mark.parametrize(
    ("raw", "kind", "text"),
    [
        (b'{"a":1}', "7 bytes, JSON", '{\n  "a": 1\n}'),
        (b"plain", "5 bytes, no JSON, shown as it is", "plain"),
        (b"\xff", "1 bytes, no text, shown in base64", "/w=="),
    ],
)
def test_payload_with_its_kind(raw: bytes, kind: str, text: str) -> None:
    assert payload_text(raw) == (kind, text)


@pytest.mark.parametrize(("number", "text"), [(1, "1 key"), (0, "0 keys"), (2000, "2,000 keys")])
def test_a_number_with_its_noun(number: int, text: str) -> None:
    assert counted(number, "key") == text
