"""Topics of a benchmark's own."""

from __future__ import annotations

import os
import uuid

from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 6


def make_topic() -> str:
    """Make a topic that no other run uses, and return its name."""
    topic = f"benchmark.r{uuid.uuid4().hex[:12]}.json"
    admin = AdminClient({"bootstrap.servers": os.environ["KAFKA_BROKER"]})
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        future.result(timeout=30)
    return topic
