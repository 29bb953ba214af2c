"""kcat reads what we publish, and what it writes is handled."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from kafka_integration.models import OutboxEvent
from mediajira.campaigns.models import Campaign
from tests.sample.models import Effect

Manage = Callable[..., subprocess.CompletedProcess[str]]


def kcat(*arguments: str, broker: str, text: str = "") -> str:
    """Run kcat with ``text`` as its input and return its output."""
    command = ["kcat", "-q", "-b", broker, *arguments]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("catalogue_topics")
def test_kcat_reads_what_the_relay_published(manage: Manage, broker: str) -> None:
    owner = User.objects.create_user("ada")
    campaign = Campaign.objects.create(name="Über alles\nLiebe", owner=owner)
    event = OutboxEvent.objects.get(topic="campaign.created.json", key=str(campaign.pk))
    done = manage("kafka_relay", "--drain")
    assert done.returncode == 0, done.stderr

    reading = ("-C", "-t", event.topic, "-o", "beginning", "-e", "-f", "%k %h %s\n")
    lines = [line.split(" ", 2) for line in kcat(*reading, broker=broker).splitlines()]
    ((headers, value),) = [line[1:] for line in lines if line[0] == event.key]
    shown = dict(pair.split("=", 1) for pair in headers.split(","))
    assert shown.pop("ce_sequence").isdigit()  # the relay's own: it grows within a key
    assert shown == event.headers
    assert value.encode() == bytes(event.value)


def test_what_kcat_writes_bare_is_handled(manage: Manage, broker: str, topic: str) -> None:
    bare = '{"lane": "kcat", "number": 1}\n{"lane": "kcat", "number": 2}\n'
    kcat("-P", "-t", topic, "-p", "0", broker=broker, text=bare)
    kcat("-P", "-t", topic, "-p", "1", "-k", "key", broker=broker, text='{"lane":"k","number":3}')

    env = {"SAMPLE_TOPIC": topic, "KAFKA_TOPICS_FILE": ""}
    done = manage("kafka_consume", "--group", "sample", "--drain", env=env)

    assert done.returncode == 0, done.stderr
    assert "3 handled, 0 duplicate, 0 ignored, 0 dead" in done.stdout
    effects = Effect.objects.values_list("lane", "number", "event_id")
    assert set(effects) == {("kcat", 1, "0/0"), ("kcat", 2, "0/1"), ("k", 3, "1/0")}
