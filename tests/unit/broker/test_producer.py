"""A producer that is given up leaves nothing behind, and does so at once."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from kafka_integration.broker.producer import Delivery, EventProducer
from kafka_integration.broker.transactional import TransactionalProducer

_KINDS: list[Callable[[], EventProducer]] = [
    EventProducer,
    lambda: TransactionalProducer("test-given-up"),
]


@pytest.fixture(autouse=True)
def nothing_listens(settings: Settings) -> None:
    settings.KAFKA_BROKER = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_collections() -> Iterator[None]:
    """Have nothing found by the garbage collector, which may come late."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("make", _KINDS, ids=["plain", "transactional"])
def test_a_producer_given_up_is_gone_without_a_garbage_collection(
    make: Callable[[], EventProducer],
) -> None:
    producer = make()
    gone = weakref.ref(producer)
    del producer
    assert gone() is None


def test_what_was_under_way_does_not_keep_it_once_it_is_withdrawn() -> None:
    producer, answers = EventProducer(), list[Delivery]()
    producer.send("a.b.json", b"{}", b"key", [], answers.append)
    producer.abandon()
    gone = weakref.ref(producer)
    del producer
    assert gone() is None
    assert [answer.error is None for answer in answers] == [False]
