"""Each format there and back by way of the outbox, real Kafka and the inbox."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import fastavro
import pytest
from django.db import transaction
from pytest_django import Settings

from kafka_integration import Event, EventData, publish
from kafka_integration.broker.formats import topic_format
from kafka_integration.broker.schema_registry import registry_client
from kafka_integration.events.registry import Handler, Registry
from kafka_integration.events.upcasts import Upcasts
from kafka_integration.inbox.worker import Worker
from kafka_integration.models import InboxRecord, InboxStatus
from kafka_integration.outbox.relay import Relay
from tests.sample.proto import order_message
from tests.unit.broker.registered import Ordered, ordered, proto_ordered

from ..conftest import Record

Read = Callable[..., list[Record]]

DATA: dict[str, EventData] = {
    "json": ordered().model_copy(update={"blob": b"text"}),
    "avro": ordered(),
    "protobuf": proto_ordered(),
}
KIND = {"avro": "application/avro", "protobuf": "application/protobuf"}


@pytest.fixture(params=DATA)
def format(request: pytest.FixtureRequest) -> str:
    """The format of the topic."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def topic(make_topic: Callable[..., str], format: str, settings: Settings) -> str:
    """A topic of that format, and a Schema Registry that no other test has seen."""
    settings.KAFKA_SCHEMA_REGISTRY_URL = f"mock://{uuid4().hex}"
    settings.KAFKA_TOPICS_FILE = ""
    return make_topic(format=format)


@pytest.fixture
def seen(declared: Registry, topic: str, format: str) -> list[Event[Any]]:
    """What a handler of the topic gets."""
    found: list[Event[Any]] = []
    declared.add_handler(Handler(topic, type(DATA[format]), topic, found.append))
    return found


def send(topic: str, data: EventData) -> None:
    with transaction.atomic():
        publish(data, topic=topic, key="k")
    Relay().drain()


def test_there_and_back(
    topic: str,
    format: str,
    transactional_db: None,
    seen: list[Event[Any]],
    read_topic: Read,
    consume: Callable[..., Worker],
) -> None:
    send(topic, DATA[format])
    [record] = read_topic(topic, expect=1)
    assert record.headers["content-type"].decode() == KIND.get(format, "application/json")
    assert record.headers["ce_type"].decode() == type(DATA[format]).__name__
    consume()
    assert [event.data for event in seen] == [DATA[format]]


@pytest.mark.parametrize("format", ["avro"], indirect=True)
def test_another_program_reads_our_avro(
    topic: str, transactional_db: None, read_topic: Read
) -> None:
    send(topic, ordered())
    [record] = read_topic(topic, expect=1)
    value = record.value or b""
    schema = registry_client().get_schema(int.from_bytes(value[1:5], "big")).schema_str
    found: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), json.loads(schema), None)
    assert found["order_id"] == ordered().order_id
    assert found["placed_at"] == ordered().placed_at


@pytest.mark.parametrize("format", ["protobuf"], indirect=True)
def test_another_program_reads_our_protobuf(
    topic: str, transactional_db: None, read_topic: Read
) -> None:
    send(topic, proto_ordered())
    [record] = read_topic(topic, expect=1)
    # Magic byte, schema id, and one zero: the first message of its file is the second here.
    framed = (record.value or b"")[5:]
    message = order_message()()
    message.ParseFromString(framed[2:])
    assert framed[:2] == b"\x02\x02"
    assert message.order_id == str(proto_ordered().order_id)
    assert message.blob == b"\x00\xff"


@pytest.mark.parametrize("format", ["avro", "protobuf"], indirect=True)
def test_damaged_bytes_are_a_dead_letter_and_the_rest_goes_on(
    topic: str,
    format: str,
    seen: list[Event[Any]],
    produce: Callable[..., None],
    read_topic: Read,
    consume: Callable[..., Worker],
) -> None:
    good = topic_format(topic).encode(DATA[format], topic)
    bad = b'{"order_id": "1"}'
    produce(bad, good)
    consume()
    assert [event.data for event in seen] == [DATA[format]]
    [letter] = read_topic(f"{topic}.dlq", expect=1)
    assert letter.value == bad


@pytest.mark.parametrize("format", ["avro", "protobuf"], indirect=True)
def test_while_the_schema_registry_is_away_the_group_waits_and_loses_nothing(
    topic: str,
    format: str,
    settings: Settings,
    seen: list[Event[Any]],
    produce: Callable[..., None],
    read_topic: Read,
    consume: Callable[..., Worker],
) -> None:
    produce(topic_format(topic).encode(DATA[format], topic))
    address = settings.KAFKA_SCHEMA_REGISTRY_URL
    settings.KAFKA_SCHEMA_REGISTRY_URL = "http://127.0.0.1:1"
    # Long enough for many more tries than the policy has.
    back = threading.Timer(4, setattr, (settings, "KAFKA_SCHEMA_REGISTRY_URL", address))
    back.start()
    try:
        consume()
    finally:
        back.join()
    assert [event.data for event in seen] == [DATA[format]]
    assert read_topic(f"{topic}.dlq") == []
    [record] = InboxRecord.objects.all()
    assert (record.status, record.attempts) == (InboxStatus.DONE, 1)


class OrderedShort(EventData):
    """What it was before it had prices."""

    event_type = "Ordered"
    event_version = 0

    order_id: str


@pytest.mark.parametrize("format", ["json"], indirect=True)
def test_three_modes_and_two_versions_reach_one_handler(
    topic: str,
    declared: Registry,
    produce: Callable[..., None],
    read_topic: Read,
    consume: Callable[..., Worker],
) -> None:
    seen: list[Event[Any]] = []

    def lift(old: OrderedShort) -> Ordered:
        return ordered().model_copy(update={"number": int(old.order_id)})

    upcasts = Upcasts.of({OrderedShort: lift})
    declared.add_handler(Handler(topic, Ordered, topic, seen.append, upcasts=upcasts))
    new = DATA["json"].model_dump(mode="json")
    binary = [("ce_type", b"Ordered"), ("ce_id", b"1"), ("ce_source", b"/t")]
    envelope = {"specversion": "1.0", "type": "Ordered", "id": "1", "source": "/t", "data": new}
    structured = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    text = json.dumps
    produce(text(new).encode(), headers=[*binary, ("ce_dataversion", b"1")])
    produce(text({**envelope, "dataversion": "1"}).encode(), headers=structured)
    produce(text({**envelope, "dataversion": "1", "id": "2"}).encode(), headers=structured)
    produce(b'{"order_id": "77"}', headers=[("ce_dataversion", b"0")])
    consume()
    assert [event.data.number for event in seen] == [2**40, 2**40, 77]
    assert [event.id for event in seen[:2]] == ["1", "2"]
    assert read_topic(f"{topic}.dlq") == []
