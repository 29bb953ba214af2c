"""One key lands on one partition, whoever sends it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kafka_integration import KafkaProducerClient
from kafka_integration.outbox.relay import Relay
from tests.integration.conftest import Record

KEYS = [f"campaign/{number:03d}/ä" for number in range(100)]


def partitions(records: Iterable[Record]) -> dict[str, int]:
    """Return where each key lies."""
    return {record.key.decode(): record.partition for record in records if record.key}


def test_relay_client_and_kafkas_own_producer_agree(
    make_topic: Callable[..., str],
    read_topic: Callable[..., list[Record]],
    send: Callable[..., None],
    broker: str,
    transactional_db: None,
) -> None:
    topics = [make_topic(7) for _ in range(3)]
    by_relay, by_client, by_java = topics
    send(by_relay, [(key, 1) for key in KEYS])
    Relay().drain()
    with KafkaProducerClient() as client:
        for key in KEYS:
            client.send_message(by_client, {"key": key}, key)
    console_produce(broker, by_java, KEYS)

    relay, ours, java = (partitions(read_topic(topic, expect=100)) for topic in topics)

    assert set(java) == set(KEYS)
    assert set(java.values()) == set(range(7))
    assert relay == java
    assert ours == java


def console_produce(broker: str, topic: str, keys: Iterable[str]) -> None:
    """Send the keys with Kafka's console producer."""
    jars = Path(os.environ["KAFKA_CLASSPATH_FILE"]).read_text().strip()
    tool = ["java", "-Dfile.encoding=UTF-8", "-cp", jars, "org.apache.kafka.tools.ConsoleProducer"]
    reader: list[Any] = []
    for setting in ("parse.key=true", "key.separator=|"):
        reader += ["--reader-property", setting]
    subprocess.run(
        [*tool, "--bootstrap-server", broker, "--topic", topic, *reader],
        input="".join(f"{key}|value\n" for key in keys),
        text=True,
        encoding="utf-8",
        check=True,
        capture_output=True,
        timeout=60,
    )
