"""CloudEvents in structured mode."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafka_integration.errors import UndecodableMessage
from kafka_integration.events.envelope import Attributes, Message
from kafka_integration.events.structured import Structured

TYPE = "application/cloudevents+json; charset=UTF-8"
WHOLE = {
    "specversion": "1.0",
    "id": "5",
    "source": "/shop",
    "type": "Made",
    "time": "2024-05-06T07:08:09Z",
    "dataversion": 2,
    "urgent": True,
    "extra": {"a": 1},
    "data": {"name": "cup"},
}


def of(content: Any, content_type: str = TYPE) -> Structured:
    value = content if isinstance(content, bytes) else json.dumps(content).encode()
    found = Structured.of(content_type, value)
    assert found is not None
    return found


def message(content: Any, *headers: tuple[str, bytes]) -> Message:
    named = [("content-type", TYPE.encode()), *headers]
    return Message("thing.made.json", 0, 1, None, json.dumps(content).encode(), named)


def test_attributes_are_read_as_if_they_were_headers() -> None:
    found = message(WHOLE)
    attributes = Attributes.of(found)
    assert (attributes.id, attributes.source, attributes.type) == ("5", "/shop", "Made")
    assert attributes.version == 2
    assert attributes.time is not None
    assert found.header("ce_urgent") == "true"
    assert found.header("ce_extra") is None
    assert found.header("ce_subject") is None
    assert found.header("id") is None


def test_the_data_is_json() -> None:
    assert of(WHOLE).data() == {"name": "cup"}
    assert of({**WHOLE, "data": None}).data() is None


def test_the_data_is_bytes_where_it_is_base64() -> None:
    bare = {name: value for name, value in WHOLE.items() if name != "data"}
    assert of({**bare, "data_base64": "eyJhIjoxfQ=="}).data() == b'{"a":1}'


@pytest.mark.parametrize("content_type", [None, "", "application/json", "text/plain"])
def test_another_content_type_is_another_mode(content_type: str | None) -> None:
    assert Structured.of(content_type, b"{}") is None


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "Application/CloudEvents+JSON;a=b"]
)
def test_the_content_type_alone_tells(content_type: str) -> None:
    assert of(WHOLE, content_type).attribute("id") == "5"


@pytest.mark.parametrize(
    ("content", "content_type", "word"),
    [
        (b"{", TYPE, "not JSON"),
        (b"[]", TYPE, "no JSON object"),
        ({**WHOLE, "specversion": "0.3"}, TYPE, "specversion '0.3'"),
        ({**WHOLE, "data_base64": "AA=="}, TYPE, "one of data and data_base64"),
        ({"specversion": "1.0"}, TYPE, "one of data and data_base64"),
        ({"specversion": "1.0", "data_base64": "!"}, TYPE, "not base64"),
        ({"specversion": "1.0", "data_base64": 7}, TYPE, "not base64"),
        (WHOLE, "application/cloudevents+avro", r"cloudevents\+avro, and only"),
        (WHOLE, "application/cloudevents-batch+json", "batch"),
    ],
)
def test_what_cannot_be_read_says_why_once_its_data_is_wanted(
    content: Any, content_type: str, word: str
) -> None:
    with pytest.raises(UndecodableMessage, match=word):
        of(content, content_type).data()


def test_a_header_of_binary_mode_wins() -> None:
    assert message(WHOLE, ("ce_id", b"9")).header("ce_id") == "9"
