"""Topic administration where there is no real Kafka: the mock cluster, and nothing at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.broker.embedded import EmbeddedBroker
from kafka_integration.errors import BrokerError, BrokerUnavailable
from kafka_integration.events.catalogue import Catalogue


@pytest.fixture(scope="module")
def mock_address() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.address


@pytest.fixture
def mock(mock_address: str, settings: Settings) -> TopicAdmin:
    settings.KAFKA_BROKER = mock_address
    return TopicAdmin()


def test_the_mock_cluster_is_known_by_its_id(mock: TopicAdmin) -> None:
    assert mock.cluster_id().startswith("mockCluster")
    assert mock.is_mock()


def test_the_mock_cluster_gives_names_for_ids_at_once(mock: TopicAdmin) -> None:
    started = time.monotonic()
    assert mock.topic_ids(["a.b.json", "a.c.json"]) == {
        "a.b.json": "a.b.json",
        "a.c.json": "a.c.json",
    }
    assert time.monotonic() - started < 2


def test_the_mock_cluster_makes_a_topic_that_is_asked_for(mock: TopicAdmin) -> None:
    assert mock.missing(["a.d.json", "a.e.json"]) == set()


def test_the_mock_cluster_tells_no_limits_at_once(mock: TopicAdmin) -> None:
    began = time.monotonic()
    assert mock.limits("sample.created.json", {"compression.type": "none"}) is None
    assert time.monotonic() - began < 5, "it answers no admin request, so it is not asked"


def test_the_mock_cluster_takes_no_plan_and_says_so_at_once(mock: TopicAdmin) -> None:
    started = time.monotonic()
    empty = Catalogue("topics.yaml", "development", {})
    with pytest.raises(BrokerError, match=r"mock cluster.*Point KAFKA_BROKER at a real Kafka"):
        mock.existing(empty)
    with pytest.raises(BrokerError, match="mock cluster"):
        list(mock.apply([]))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("address", ["localhost:1", "no-such-host.invalid:9092"])
def test_an_unreachable_broker_is_named_within_the_time_out(
    address: str, settings: Settings
) -> None:
    settings.KAFKA_BROKER = address
    admin = TopicAdmin(timeout=1)
    questions: list[Callable[[], object]] = [
        admin.cluster_id,
        lambda: admin.missing(["a.b.json"]),
        lambda: admin.topic_ids(["a.b.json"]),
    ]
    for question in questions:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="Check KAFKA_BROKER") as caught:
            question()
        assert time.monotonic() - started < 3
        assert caught.value.broker == address
        assert address in caught.value.detail


def test_the_time_out_is_under_ten_seconds_by_default() -> None:
    assert TopicAdmin().timeout < 10
