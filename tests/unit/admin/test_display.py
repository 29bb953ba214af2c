"""How bytes and moments look in the admin."""

from __future__ import annotations

import json

import pytest

from kafka_integration.admin import display


def shown(data: bytes) -> str:
    return display.pretty(data).partition("<pre>")[2].partition("</pre>")[0]


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (b"1.10", "1.10"),
        (b"[]", "[]"),
        (b"{ }", "{}"),
        (b'{"a":{},"b":[ 1,2 ]}', '{\n  "a": {},\n  "b": [\n    1,\n    2\n  ]\n}'),
        (b'{"a":1,"a":1e999}', '{\n  "a": 1,\n  "a": 1e999\n}'),
        (b'["x, {\\"y\\": [1]}"]', '[\n  "x, {\\"y\\": [1]}"\n]'),
    ],
)
def test_json_is_indented_and_nothing_else_changes(raw: bytes, lines: str) -> None:
    text = shown(raw).replace("&quot;", '"')
    assert text == lines
    assert json.loads(text) == json.loads(raw)


def test_payload_is_escaped() -> None:
    assert shown(b'"<b>&"') == "&quot;&lt;b&gt;&amp;&quot;"


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"plain {text", "plain {text"), (b"\xff\x00", "/wA="), (b"a\x00b", "YQBi"), (b"", "")],
)
def test_what_is_no_json_is_shown_all_the_same(raw: bytes, text: str) -> None:
    assert shown(raw) == text


@pytest.mark.parametrize("raw", [b"[" * 200_000, b"1" * 5_000])
def test_hostile_json_is_shown_as_text(raw: bytes) -> None:
    assert "no JSON" in display.pretty(raw)


def test_long_payload_is_cut() -> None:
    page = display.pretty(b"x" * 1_000_000)
    assert "1,000,000 bytes" in page
    assert len(page) < 101_000


def test_place_may_break_after_dots_only() -> None:
    place = display.place("a.b<.json", 3, 14)
    assert place == '<span class="kafka-dotted">a.<wbr>b&lt;.<wbr>json<wbr>[3]@14</span>'
