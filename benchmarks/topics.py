"""Topics of a benchmark's own."""

from __future__ import annotations

import os
import uuid

from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 6


def make_topic(*, dead_letters: bool = False) -> str:
    """Make a topic that no other run uses, and one for its dead letters; return its name."""
    topic = f"benchmark.r{uuid.uuid4().hex[:12]}.json"
    admin = AdminClient({"bootstrap.servers": os.environ["KAFKA_BROKER"]})
    names = [topic, f"{topic}.dlq"] if dead_letters else [topic]
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result(timeout=30)
    return topic
