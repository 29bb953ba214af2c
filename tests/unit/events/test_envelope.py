"""The envelope: headers out, attributes in, and headers in a JSON column."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_integration.events.envelope import (
    Attributes,
    Message,
    headers_for,
    headers_from_json,
    headers_to_json,
    sequence,
)

NOON = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
ATTRIBUTES = ["ce_id", "ce_source", "ce_type", "ce_time", "ce_dataversion"]
NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=9)


def message(*headers: tuple[str, bytes | None]) -> Message:
    return Message("a.b.json", 1, 2, b"key", b"{}", list(headers))  # type: ignore[arg-type]  # Kafka allows null values


def envelope(**values: object) -> dict[str, str]:
    given = {"type": "T", "version": 2, "id": "1", "source": "s", "time": NOON} | values
    return headers_for(**given)  # type: ignore[arg-type]  # a mixed mapping


def test_an_event_says_what_cloudevents_asks_for() -> None:
    assert envelope(subject="a.B/1") == {
        "ce_specversion": "1.0",
        "ce_id": "1",
        "ce_source": "s",
        "ce_type": "T",
        "ce_time": "2026-03-01T10:30:00Z",
        "ce_dataversion": "2",
        "ce_subject": "a.B/1",
        "content-type": "application/json",
    }
    assert "ce_subject" not in envelope()


def test_further_headers_come_along_but_replace_nothing() -> None:
    found = envelope(extra={"tenant": "7", "ce_type": "mine"})
    assert (found["tenant"], found["ce_type"]) == ("7", "T")


def test_a_reader_gets_back_what_was_sent() -> None:
    sent = message(*((name, text.encode()) for name, text in envelope().items()))
    assert Attributes.of(sent) == Attributes("1", "s", "T", 2, NOON)


def test_a_bare_message_has_no_attributes() -> None:
    assert Attributes.of(message()) == Attributes(None, None, None, None, None)


@pytest.mark.parametrize(
    "headers",
    [
        [("ce_id", b"\xff\xfe"), ("ce_time", b"yesterday"), ("ce_dataversion", b"two")],
        [("ce_id", b""), ("ce_time", b""), ("ce_dataversion", b"")],
        [("ce_id", None), ("ce_time", None), ("ce_dataversion", None)],
        [("ce_dataversion", b"9" * 5_000)],
        [("ce_dataversion", "²".encode())],
        [("ce_dataversion", b"-1")],
        [("ce_time", b"2026-13-45T99:99:99Z")],
    ],
)
def test_what_cannot_be_read_counts_as_absent(headers: list[tuple[str, bytes | None]]) -> None:
    assert Attributes.of(message(*headers)) == Attributes(None, None, None, None, None)


@given(headers=st.lists(st.tuples(st.sampled_from(ATTRIBUTES), st.binary())))
def test_no_header_whatsoever_breaks_a_reader(headers: list[tuple[str, bytes]]) -> None:
    Attributes.of(message(*headers))


def test_the_last_of_several_headers_counts() -> None:
    assert message(("a", b"1"), ("b", b"2"), ("a", b"3")).header("a") == "3"


def test_a_message_names_its_place() -> None:
    assert message().place() == "a.b.json[1]@2"


@given(first=st.integers(0, 2**63 - 1), second=st.integers(0, 2**63 - 1))
def test_sequences_sort_as_their_numbers_do(first: int, second: int) -> None:
    assert (sequence(first) < sequence(second)) is (first < second)
    assert len(sequence(first)) == 19


@given(headers=st.lists(st.tuples(NAMES, st.none() | st.binary())))
def test_headers_survive_a_json_column(headers: list[tuple[str, bytes]]) -> None:
    text = json.dumps(headers_to_json(headers))
    assert "\\u0000" not in text, "PostgreSQL's jsonb refuses it"
    assert headers_from_json(json.loads(text)) == headers


def test_readable_headers_stay_readable() -> None:
    assert headers_to_json([("a", b"text"), ("b", b"\xff")]) == [
        ["a", "text"],
        ["b", {"base64": "/w=="}],
    ]
