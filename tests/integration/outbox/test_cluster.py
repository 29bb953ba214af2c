"""The outbox is sent to one Kafka cluster, unless someone says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from kafka_integration.broker.embedded import EmbeddedBroker
from kafka_integration.models import OutboxQueue, OutboxSetup
from tests.integration.outbox.conftest import SHORT_LEASE

Manage = Callable[..., Any]


@pytest.fixture
def cluster(kafka_admin: AdminClient) -> str:
    """The id of the tests' cluster."""
    found = kafka_admin.list_topics(timeout=10).cluster_id
    assert found
    return str(found)


def drain(manage: Manage, *arguments: str, env: dict[str, str] | None = None) -> Any:
    command = ("kafka_relay", "--drain", "--timeout", "60", *arguments)
    return manage(*command, env=SHORT_LEASE | (env or {}))


def test_it_is_remembered_refused_when_it_is_another_and_adopted_when_told(
    topic: str, send: Callable[..., None], manage: Manage, cluster: str
) -> None:
    send(topic, [("a", 0)])
    assert drain(manage).returncode == 0
    assert OutboxSetup.objects.get().cluster_id == cluster

    OutboxSetup.objects.update(cluster_id="the-one-in-production")
    send(topic, [("a", 1)])
    refused = drain(manage)
    assert refused.returncode == 1
    for part in ("the-one-in-production", cluster, "kafka_relay --adopt-cluster"):
        assert part in refused.stderr
    assert OutboxQueue.objects.count() == 1

    assert drain(manage, "--adopt-cluster").returncode == 0
    assert OutboxSetup.objects.get().cluster_id == cluster
    assert not OutboxQueue.objects.exists()


def test_embedded_brokers_come_and_go(
    topic: str, send: Callable[..., None], manage: Manage, cluster: str
) -> None:
    for number in range(2):
        send(topic, [("a", number)])
        with EmbeddedBroker() as broker:
            done = drain(manage, env={"KAFKA_BROKER": broker.address})
        assert done.returncode == 0, done.stderr
    send(topic, [("a", 2)])
    assert drain(manage).returncode == 0
    assert OutboxSetup.objects.get().cluster_id == cluster
