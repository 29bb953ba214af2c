"""What bytes become of an event's data, and data of bytes, in each format."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings

from kafka_integration import EventData
from kafka_integration.broker import formats
from kafka_integration.broker.formats import (
    FormatRefused,
    FormatUnavailable,
    UnusableContract,
    topic_format,
)
from kafka_integration.broker.schema_registry import registry_client
from kafka_integration.errors import ConfigurationError, UndecodableMessage

from .registered import (
    AVRO,
    PROTOBUF,
    Ordered,
    ProtoOrdered,
    ordered,
    proto_ordered,
)

BOTH = [(AVRO, ordered()), (PROTOBUF, proto_ordered())]
CLOSED = "http://user-x:word-x@127.0.0.1:1"


@pytest.fixture(autouse=True)
def memory(settings: Settings) -> None:
    """A Schema Registry that no other test has seen."""
    settings.KAFKA_SCHEMA_REGISTRY_URL = f"mock://{uuid4().hex}"


def encode(topic: str, data: EventData) -> bytes:
    return topic_format(topic).encode(data, topic)


def decode(topic: str, value: bytes | None, contract: type[EventData]) -> Any:
    return topic_format(topic).decode(value, topic, contract)


def subjects() -> list[str]:
    return sorted(registry_client().get_subjects())


@pytest.mark.parametrize(("topic", "data"), [*BOTH, ("order.placed.json", ordered())])
def test_there_and_back(topic: str, data: EventData) -> None:
    contract = type(data)
    if topic.endswith("json"):
        data = data.model_copy(update={"blob": b"text"})  # JSON has no other bytes
    assert contract.model_validate(decode(topic, encode(topic, data), contract)) == data


@pytest.mark.parametrize(("topic", "data"), BOTH)
def test_the_value_begins_with_the_id_of_a_schema_of_the_topic(topic: str, data: EventData) -> None:
    value = encode(topic, data)
    assert value[0] == 0
    assert subjects() == [f"{topic}-value"]
    assert int.from_bytes(value[1:5], "big") == 1
    assert encode(topic, data)[:5] == value[:5]


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [("topic", f"{AVRO}-value"), ("record", "Ordered"), ("topic_record", f"{AVRO}-Ordered")],
)
def test_the_subject_is_called_as_the_setting_says(
    settings: Settings, strategy: str, subject: str
) -> None:
    settings.KAFKA_SCHEMA_SUBJECT = strategy
    value = encode(AVRO, ordered())
    assert subjects() == [subject]
    assert Ordered.model_validate(decode(AVRO, value, Ordered)) == ordered()


def test_an_unknown_strategy_is_refused(settings: Settings) -> None:
    settings.KAFKA_SCHEMA_SUBJECT = "colour"
    with pytest.raises(ConfigurationError, match=r"'colour'.*topic, record, topic_record"):
        encode(AVRO, ordered())


def test_old_data_is_read_by_a_newer_contract() -> None:
    class OrderedNow(EventData):
        order_id: UUID
        country: str = "CH"

    found = decode(AVRO, encode(AVRO, ordered()), OrderedNow)
    assert OrderedNow.model_validate(found).country == "CH"


def test_a_field_of_protobuf_without_a_value_is_its_default() -> None:
    empty = ProtoOrdered(order_id=ordered().order_id)
    found = decode(PROTOBUF, encode(PROTOBUF, empty), ProtoOrdered)
    assert found["number"] == "0"
    assert "note" not in found
    assert ProtoOrdered.model_validate(found) == empty


def test_a_naive_time_is_meant_in_djangos_zone(settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    naive = ordered().model_copy(update={"placed_at": datetime(2024, 1, 1, 9)})
    found = decode(AVRO, encode(AVRO, naive), Ordered)
    assert found["placed_at"].isoformat() == "2024-01-01T00:00:00+00:00"


@pytest.mark.parametrize(("topic", "data"), BOTH)
@pytest.mark.parametrize("damage", ["none", "empty", "json", "unknown schema", "cut", "magic"])
def test_damaged_bytes_are_undecodable(topic: str, data: EventData, damage: str) -> None:
    value = encode(topic, data)
    damaged = {
        "none": None,
        "empty": b"",
        "json": json.dumps({"order_id": "5", "number": 1}).encode(),
        "unknown schema": b"\x00\x00\x00\x00\x09" + value[5:],
        "cut": value[:-4],
        "magic": b"\x07" + value[1:],
    }[damage]
    with pytest.raises(UndecodableMessage):
        decode(topic, damaged, type(data))


@pytest.mark.parametrize(("topic", "data"), BOTH)
def test_a_registry_that_does_not_answer_is_an_outage_and_shows_no_password(
    settings: Settings, topic: str, data: EventData
) -> None:
    value = encode(topic, data)
    settings.KAFKA_SCHEMA_REGISTRY_URL = CLOSED
    for attempt in (lambda: encode(topic, data), lambda: decode(topic, value, type(data))):
        with pytest.raises(FormatUnavailable, match=r"at 127\.0\.0\.1:1 does not") as caught:
            attempt()
        assert "word-x" not in str(caught.value)


@pytest.mark.parametrize(("topic", "data"), BOTH)
def test_without_an_address_the_setting_is_named(
    settings: Settings, topic: str, data: EventData
) -> None:
    settings.KAFKA_SCHEMA_REGISTRY_URL = ""
    with pytest.raises(FormatUnavailable, match="KAFKA_SCHEMA_REGISTRY_URL is not set"):
        encode(topic, data)


@pytest.mark.parametrize(("topic", "data"), BOTH)
def test_a_schema_that_is_not_registered_is_refused_where_we_may_not(
    settings: Settings, topic: str, data: EventData
) -> None:
    settings.KAFKA_SCHEMA_AUTO_REGISTER = False
    with pytest.raises(FormatRefused, match=f"for {topic}.*register the schema"):
        encode(topic, data)
    assert subjects() == []


def test_data_that_its_schema_cannot_hold_is_refused() -> None:
    with pytest.raises(FormatRefused, match=f"Ordered cannot be written to {AVRO}"):
        encode(AVRO, ordered().model_copy(update={"number": 2**70}))

    class Wide(ProtoOrdered):
        width: int = 3

    with pytest.raises(FormatRefused, match="width"):
        encode(PROTOBUF, Wide(order_id=ordered().order_id))


def test_a_contract_without_a_message_is_no_protobuf() -> None:
    with pytest.raises(UnusableContract, match="Ordered has no Protobuf message"):
        encode(PROTOBUF, ordered())
    with pytest.raises(UnusableContract, match="protoc"):
        topic_format(PROTOBUF).check(Ordered)

    class Raw(ProtoOrdered):
        blob: bytes = b""

    with pytest.raises(UnusableContract, match="Base64Bytes"):
        topic_format(PROTOBUF).check(Raw)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without the packages of the extras."""
    real = builtins.__import__

    def refuse(name: str, *args: Any, **more: Any) -> Any:
        if name in ("avro", "protobuf") and args[3] == 1:
            raise ModuleNotFoundError(f"No module named 'the library for {name}'")
        return real(name, *args, **more)

    formats._loaded.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    yield
    formats._loaded.cache_clear()


@pytest.mark.parametrize(("topic", "extra"), [(AVRO, "avro"), (PROTOBUF, "protobuf")])
def test_a_missing_package_is_told_with_the_extra_to_install(
    nothing_installed: None, topic: str, extra: str
) -> None:
    with pytest.raises(
        FormatUnavailable, match=rf"pip install 'django-kafka-integration\[{extra}\]'"
    ):
        topic_format(topic)
    assert topic_format("order.placed.json")
