"""``manage.py kafka_consume`` in a process of its own, ended and killed as in life."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.sample.models import Effect

Manage = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


def values(count: int) -> list[bytes]:
    return [b'{"lane": "l", "number": %d}' % number for number in range(count)]


def numbers() -> list[int]:
    return list(Effect.objects.order_by("pk").values_list("number", flat=True))


def test_a_drain_tells_what_it_does(
    manage: Manage, produce: Callable[..., None], topic: str
) -> None:
    produce(*values(3), b"{", headers=[("ce_type", b"SampleCreated")])
    env = {"SAMPLE_TOPIC": topic}
    done = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert done.returncode == 0, done.stderr
    assert f"Group sample reads {topic}." in done.stdout
    assert "SampleCreated v1  ->  tests.sample.events.take_effect" in done.stdout
    assert f"Dead letter: {topic}[0]@3 went to {topic}.dlq: UndecodableMessage: " in done.stdout
    assert "4 messages: 3 handled, 0 duplicate, 0 ignored, 1 dead." in done.stdout
    assert numbers() == [0, 1, 2]


def test_with_v_2_each_message_is_a_line(
    manage: Manage, produce: Callable[..., None], topic: str
) -> None:
    produce(*values(1), key=b"cup", headers=[("ce_type", b"SampleCreated")])
    done = manage(
        "kafka_consume", "--group", "sample", "--drain", "-v", "2", env={"SAMPLE_TOPIC": topic}
    )
    assert f"✓ {topic}[0]@0 SampleCreated key cup take_effect" in done.stdout.splitlines()
    assert "1 message: 1 handled" in done.stdout


def test_max_messages_and_from_beginning(
    manage: Manage, produce: Callable[..., None], topic: str
) -> None:
    produce(*values(3))
    env = {"SAMPLE_TOPIC": topic}
    first = manage("kafka_consume", "--group", "sample", "--max-messages", "2", env=env)
    assert "2 messages: 2 handled" in first.stdout
    again = manage("kafka_consume", "--group", "sample", "--drain", "--from-beginning", env=env)
    assert "3 messages: 1 handled, 2 duplicate" in again.stdout
    assert numbers() == [0, 1, 2]


@pytest.mark.parametrize("arguments", [[], ["--group", "smaple"]])
def test_without_a_known_group_the_known_ones_are_listed(
    manage: Manage, arguments: list[str]
) -> None:
    done = manage("kafka_consume", *arguments)
    assert done.returncode == 1
    assert "Known groups: " in done.stderr
    assert "sample" in done.stderr
    assert ("--group is required. " in done.stderr) == (not arguments)
    assert "Traceback" not in done.stderr


def test_a_missing_topic_and_a_missing_broker_are_errors(manage: Manage) -> None:
    group = ("kafka_consume", "--group", "sample")
    done = manage(*group, env={"SAMPLE_TOPIC": "never.made.json"})
    assert done.returncode == 1
    assert "no topic never.made.json, never.made.json.dlq" in done.stderr
    assert "kafka_topics apply" in done.stderr
    done = manage(*group, env={"KAFKA_BROKER": "127.0.0.1:1"})
    assert done.returncode == 1
    assert "No Kafka broker answers at 127.0.0.1:1" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_message_at_hand(
    start: Start,
    manage: Manage,
    produce: Callable[..., None],
    topic: str,
    eventually: Callable[..., None],
    number: int,
) -> None:
    produce(*values(200))
    env = {"SAMPLE_TOPIC": topic}
    process = start("kafka_consume", "--group", "sample", env=env | {"SAMPLE_PAUSE": "0.05"})
    eventually(lambda: Effect.objects.count() > 3)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    handled = numbers()
    assert handled == list(range(len(handled)))
    assert f"{len(handled):,} messages: {len(handled):,} handled" in said
    rest = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert f"{200 - len(handled):,} handled, 0 duplicate" in rest.stdout
    assert numbers() == list(range(200))


@pytest.mark.parametrize("kills", [3])
def test_killed_in_the_midst_each_effect_is_there_once(
    start: Start,
    manage: Manage,
    produce: Callable[..., None],
    topic: str,
    eventually: Callable[..., None],
    kills: int,
) -> None:
    produce(*values(300))
    # A killed member's session must end before its partitions come to the next one.
    options = "session.timeout.ms=6000,heartbeat.interval.ms=500"
    env: dict[str, Any] = {"SAMPLE_TOPIC": topic, "KAFKA_CLIENT_OPTIONS": options}
    for kill in range(1, kills + 1):
        process = start("kafka_consume", "--group", "sample", env=env | {"SAMPLE_PAUSE": "0.01"})
        eventually(lambda goal=kill * 40: Effect.objects.count() >= goal, timeout=60)
        process.kill()
        process.wait()
    done = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert done.returncode == 0, done.stderr
    assert numbers() == list(range(300))
