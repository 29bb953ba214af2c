"""Messages that nobody can handle: kept whole, told why, and the ones after them handled."""

from __future__ import annotations

import random
import string
import subprocess
from collections.abc import Callable

import pytest

from kafka_integration import Event
from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.events.catalogue import Catalogue
from kafka_integration.events.topics import Topic
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.worker import Worker
from kafka_integration.models import InboxRecord, InboxStatus
from tests.sample.models import Effect

from ..conftest import Record
from .conftest import Made, ce, effect, numbers

Produce = Callable[..., None]
Handle = Callable[..., None]
Consume = Callable[..., Worker]
Read = Callable[..., list[Record]]

# What Kafka takes where nobody says how much.
LIMIT = 1_048_588
NOISE = bytes(range(256)) * 3906 + bytes(64)

Headers = list[tuple[str, bytes | None]]

BAD: dict[str, tuple[bytes | None, bytes | None, Headers, str]] = {
    "broken JSON": (b'{"number": ', None, [], "undecodable"),
    "a wrong type": (b'{"number": "many"}', None, [], "invalid"),
    "a null value": (None, b"k", [], "undecodable"),
    "a megabyte of noise": (NOISE, None, [], "undecodable"),
    "an empty value": (b"", None, [], "undecodable"),
    "deep nesting": (b"[" * 100_000, None, [], "undecodable"),
    "unknown headers": (b"{}", None, [("x-what", b"1"), ("x-what", b"2")], "invalid"),
    "binary headers": (b"{}", None, [("x", b"\xff\x00\xfe"), ("ce_id", b"\xff")], "invalid"),
    "a null header": (b"{}", None, [("x", None)], "invalid"),
    "no headers at all": (b"{}", None, [], "invalid"),
    "a binary key": (b"{}", b"\xff\x00key", [], "invalid"),
    "an unknown version": (b'{"number": 1}', None, ce("1", ce_dataversion="7"), "unknown-version"),
    "an endless id": (b"{}", None, ce("i" * 5000), "invalid"),
    "an id with a NUL": (b"{}", None, ce("a\x00b", ce_source="\x00"), "invalid"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_handled_is_a_dead_letter_and_the_rest_goes_on(
    bad: str, handle: Handle, produce: Produce, consume: Consume, read_topic: Read, topic: str
) -> None:
    value, key, headers, reason = BAD[bad]
    handle()
    produce(value, key=key, headers=headers)
    produce(b'{"number": 1}', b'{"number": 2}')

    worker = consume()

    assert worker.outcomes == {Outcome.DEAD: 1, Outcome.HANDLED: 2}
    assert numbers() == [1, 2]
    [letter] = read_topic(f"{topic}.dlq", expect=1)
    assert (letter.key, letter.value) == (key, value)
    assert letter.headers.items() >= dict(headers).items()
    assert letter.headers["dlq_reason"].decode() == reason
    assert letter.headers["dlq_topic"].decode() == topic
    assert (letter.headers["dlq_partition"], letter.headers["dlq_offset"]) == (b"0", b"0")
    record = InboxRecord.objects.get(status=InboxStatus.DEAD)
    assert record.message().value == value
    assert record.message().key == key
    assert record.message().headers == list(headers)


@pytest.fixture
def narrow_letters(topic: str, eventually: Callable[..., None]) -> None:
    """The dead-letter topic takes messages no larger than its topic does."""
    limit, admin = str(LIMIT), TopicAdmin()
    admin.set_config(f"{topic}.dlq", {"max.message.bytes": limit})
    letters = Topic(f"{topic}.dlq", 3, 1, {"max.message.bytes": limit})
    wanted = Catalogue("-", "-", {letters.name: letters})
    eventually(lambda: admin.existing(wanted)[letters.name].config == dict(letters.config))


def incompressible(length: int) -> str:
    letters = string.ascii_letters + string.digits
    return "".join(random.Random(7).choices(letters, k=length))


def test_poison_of_the_largest_size_goes_without_its_trace(
    narrow_letters: None,
    handle: Handle,
    produce: Produce,
    consume: Consume,
    read_topic: Read,
    topic: str,
) -> None:
    def refuse(event: Event[Made]) -> None:
        if event.data.number == 1:
            raise ValueError(incompressible(9000))
        effect(event)

    handle(refuse, attempts=1)
    large = b'{"number": 1, "more": "%s"}' % incompressible(LIMIT - 3000).encode()
    produce(large, b'{"number": 2}')
    assert consume().outcomes == {Outcome.DEAD: 1, Outcome.HANDLED: 1}
    [letter] = read_topic(f"{topic}.dlq", expect=1)
    assert letter.value == large
    assert letter.headers["dlq_reason"] == b"attempts-exhausted"
    assert "dlq_trace" not in letter.headers
    assert "ValueError" in InboxRecord.objects.get(status=InboxStatus.DEAD).last_error


def test_poison_that_fits_nowhere_is_kept_in_the_inbox_and_holds_nobody(
    narrow_letters: None,
    handle: Handle,
    produce: Produce,
    consume: Consume,
    read_topic: Read,
    topic: str,
) -> None:
    handle()
    noise = random.Random(7).randbytes(LIMIT - 288)
    produce(noise, b'{"number": 2}')
    assert consume().outcomes == {Outcome.DEAD: 1, Outcome.HANDLED: 1}
    assert numbers() == [2]
    assert read_topic(f"{topic}.dlq") == []
    record = InboxRecord.objects.get(status=InboxStatus.DEAD)
    assert record.message().value == noise
    assert f"{topic}.dlq refused the letter" in record.last_error
    assert "max.message.bytes" in record.last_error


def test_a_header_whose_name_is_not_utf8_is_a_dead_letter(
    handle: Handle, produce: Produce, consume: Consume, read_topic: Read, broker: str, topic: str
) -> None:
    handle()
    command: list[str | bytes] = ["kcat", "-P", "-b", broker, "-t", topic, "-p", "0"]
    # More than Python needs to specialise the calls on the way: see broker/reading.py.
    fine = [b'{"number": %d}' % number for number in range(100)]
    produce(*fine)
    subprocess.run([*command, "-H", b"\xff\xfe=1"], input=b'{"number": 1}\n', check=True)
    produce(*fine)
    assert consume().outcomes == {Outcome.DEAD: 1, Outcome.HANDLED: 200}
    assert numbers() == [*range(100), *range(100)]
    [letter] = read_topic(f"{topic}.dlq", expect=1)
    assert letter.value == b'{"number": 1}'
    assert letter.headers["dlq_reason"] == b"undecodable"
    assert b"can't decode byte 0xff" in letter.headers["dlq_exception_message"]


def test_odd_but_valid_messages_are_handled(
    handle: Handle, produce: Produce, consume: Consume
) -> None:
    handle()
    produce(b'\xef\xbb\xbf{"number": 1, "more": [null]}', headers=[("x", b"\xff"), ("y", None)])
    produce(b'{"number": 2}', key=b"\xff\x00")
    assert consume().outcomes == {Outcome.HANDLED: 2}
    # One has a key and the other none, so nobody is promised which one is first.
    assert sorted(Effect.objects.values_list("event_id", flat=True)) == ["0/0", "0/1"]


def test_a_type_that_nobody_handles_is_passed_over(
    handle: Handle, produce: Produce, consume: Consume, read_topic: Read, topic: str
) -> None:
    handle()
    produce(b'{"number": 1}', headers=ce("1", ce_type="Painted"))
    produce(b'{"number": 2}')
    assert consume().outcomes == {Outcome.IGNORED: 1, Outcome.HANDLED: 1}
    assert numbers() == [2]
    assert read_topic(f"{topic}.dlq") == []
