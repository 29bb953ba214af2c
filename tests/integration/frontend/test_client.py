"""The TypeScript client against real Kafka, and against our own gateway."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from kafka_integration import KafkaProducerClient
from kafka_integration.gateway.sender import digest
from kafka_integration.models import OutboxEvent

FRONTEND = Path(__file__).resolve().parents[3] / "frontend"
KEYS = ["123", "7", "campaign", "ü", "日本", "a" * 200, *(f"key-{n}" for n in range(60))]


def run_vitest(name: str, **environment: str) -> None:
    """Run one file of ``frontend/tests/real``."""
    assert (FRONTEND / "node_modules").is_dir(), "run 'make frontend' first"
    command = ["npx", "--no-install", "vitest", "run", f"tests/real/{name}.test.ts"]
    done = subprocess.run(
        command,
        cwd=FRONTEND,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("catalogue_topics")
def test_the_snippet_of_the_setup_guide_arrives_from_node(
    read_topic: Callable[..., list[Any]],
) -> None:
    def from_the_frontend() -> list[Any]:
        records = read_topic("campaign.created.json")
        return [found for found in records if found.headers.get("source") == b"frontend"]

    before = len(from_the_frontend())
    run_vitest("seed")
    *others, record = from_the_frontend()
    assert len(others) == before
    assert record.key == b"123"
    assert json.loads(record.value or b"") == {"campaign_id": "123", "name": "Test Campaign"}
    assert record.headers["version"] == b"1.0"


def test_a_key_lands_on_the_same_partition_from_node_and_from_python(
    make_topic: Callable[..., str], read_topic: Callable[..., list[Any]]
) -> None:
    topic = make_topic(partitions=7)
    run_vitest("keys", TOPIC=topic, KEYS=json.dumps(KEYS))
    node = {found.key: found.partition for found in read_topic(topic, expect=len(KEYS))}
    with KafkaProducerClient() as producer:
        python = {key.encode(): producer.send_message(topic, {}, key).partition for key in KEYS}
    assert node == python
    assert len(set(node.values())) == 7


@pytest.mark.django_db(transaction=True)
def test_the_client_and_the_gateway_understand_each_other(
    live_server: LiveServer, settings: Settings
) -> None:
    settings.KAFKA_GATEWAY_TOPICS = ["campaign.created.json"]
    settings.KAFKA_GATEWAY_TOKENS = {"frontend": digest("a-token")}
    run_vitest("gateway", GATEWAY=f"{live_server.url}/kafka", TOKEN="a-token")
    [row] = OutboxEvent.objects.all()
    assert (row.topic, row.key) == ("campaign.created.json", "123")
    assert json.loads(bytes(row.value)) == {"campaign_id": "123", "name": "Test Campaign"}
    assert row.headers["ce_type"] == "CampaignAnnounced"
    assert row.headers["source"] == "frontend"
