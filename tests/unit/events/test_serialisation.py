"""JSON on the wire: nothing legal refused, nothing illegal taken."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_integration.errors import UndecodableMessage
from kafka_integration.events.serialisation import decode, encode

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_decodes_whatever_json_can_say(value: object) -> None:
    assert decode(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b" \n[1]\t", [1]),
        (b'"\\ud800"', "\ud800"),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"1" * 5000, Decimal("1" * 5000)),
    ],
)
def test_takes_the_odd_but_legal(text: bytes, value: object) -> None:
    assert decode(text) == value


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "null"),
        (b"", "not JSON"),
        (b'{"a": ', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"\xff\xfe{", "UTF-8"),
        ("[1]".encode("utf-16"), "UTF-8"),
        (b"[" * 200_000, "nested"),
        (b"\x00", "not JSON"),
    ],
)
def test_refuses_what_is_no_json(value: bytes | None, word: str) -> None:
    with pytest.raises(UndecodableMessage, match=word):
        decode(value)


def test_encodes_as_pydantic_does() -> None:
    value = {
        "id": UUID(int=1),
        "at": datetime(2024, 5, 6, tzinfo=timezone.utc),
        "cost": Decimal("1.10"),
        "ratio": float("nan"),
    }
    assert json.loads(encode(value)) == {
        "id": "00000000-0000-0000-0000-000000000001",
        "at": "2024-05-06T00:00:00Z",
        "cost": "1.10",
        "ratio": None,
    }
