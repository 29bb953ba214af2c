"""Binary, structured and bare messages, and old versions, reach one handler."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafka_integration import Event, EventData
from kafka_integration.errors import InvalidMessage, UndecodableMessage, UnknownVersion
from kafka_integration.events.upcasts import UnusableUpcast, Upcasts
from kafka_integration.inbox.dispatch import Outcome, choose, dispatch, read
from kafka_integration.models import InboxRecord

from .messages import Broken, Made, handler, ignore, message, name_of

STRUCTURED = [("content-type", b"application/cloudevents+json")]


class MadeWithPrice(EventData):
    """The next version of Made."""

    event_type = "Made"
    event_version = 2

    title: str
    price: int


def raised(old: Made) -> MadeWithPrice:
    return MadeWithPrice(title=old.name, price=old.number)


def structured(**attributes: Any) -> bytes:
    whole = {"specversion": "1.0", "id": "5", "source": "/shop", "type": "Made", **attributes}
    return json.dumps(whole).encode()


def test_a_structured_message_is_read_as_a_binary_one() -> None:
    found = message(structured(data={"name": "cup"}, dataversion="1"), headers=STRUCTURED)
    one = handler(ignore)
    assert choose(found, [handler(ignore, Broken), one]) is one
    event = read(found, one, name_of(found))
    assert event.data == Made(name="cup")
    assert (event.id, event.source, event.type) == ("5", "/shop", "Made")


def test_base64_data_is_bytes_of_the_topics_format() -> None:
    found = message(structured(data_base64="eyJuYW1lIjoiY3VwIn0="), headers=STRUCTURED)
    assert read(found, handler(ignore), name_of(found)).data == Made(name="cup")


@pytest.mark.django_db(transaction=True)
def test_the_same_event_in_both_modes_happens_once() -> None:
    seen: list[Event[Any]] = []
    one = handler(seen.append)
    in_structure = message(structured(data={"name": "cup"}), headers=STRUCTURED)
    binary = message(id="5", source="/shop", type="Made", offset=8)
    outcomes = [dispatch(found, [one], name_of(found), 1) for found in (in_structure, binary)]
    assert outcomes == [Outcome.HANDLED, Outcome.DUPLICATE]
    assert len(seen) == 1
    assert InboxRecord.objects.get().event_id == "5"


def test_a_broken_envelope_cannot_be_decoded() -> None:
    found = message(b"{", headers=STRUCTURED)
    with pytest.raises(UndecodableMessage, match="not JSON"):
        read(found, handler(ignore), name_of(found))


def test_old_and_new_payloads_reach_one_handler() -> None:
    one = handler(ignore, MadeWithPrice, upcasts=Upcasts.of({Made: raised}))
    old = message(b'{"name": "cup", "number": 3}', type="Made", dataversion="1")
    new = message(b'{"title": "cup", "price": 3}', type="Made", dataversion="2")
    for found in (old, new):
        assert choose(found, [one]) is one
        event = read(found, one, name_of(found))
        assert event.data == MadeWithPrice(title="cup", price=3)
        assert event.version == 2
    assert old.header("ce_dataversion") == "1"


def test_an_old_payload_must_satisfy_the_old_contract() -> None:
    one = handler(ignore, MadeWithPrice, upcasts=Upcasts.of({Made: raised}))
    found = message(b'{"title": "cup", "price": 3}', type="Made", dataversion="1")
    with pytest.raises(InvalidMessage, match="Made: name"):
        read(found, one, name_of(found))


def test_a_version_is_needed_where_there_are_several() -> None:
    one = handler(ignore, MadeWithPrice, upcasts=Upcasts.of({Made: raised}))
    with pytest.raises(UnknownVersion, match="version 1, 2"):
        choose(message(type="Made"), [one])


def test_an_upcast_that_leads_nowhere_is_named() -> None:
    one = handler(ignore, MadeWithPrice, upcasts=Upcasts.of({Made: lambda old: old}))
    found = message(type="Made", dataversion="1")
    with pytest.raises(UnusableUpcast, match="end at Made"):
        read(found, one, name_of(found))
