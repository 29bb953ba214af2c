"""When Kafka is asked where a message comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.inbox.origin import Origins

from .messages import TOPIC, message


class Cluster:
    """Knows one topic, which can be made anew."""

    def __init__(self) -> None:
        self.made = 1
        self.asked = 0

    def cluster_id(self) -> str:
        return "c"

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        self.asked += 1
        return dict.fromkeys(names, f"t{self.made}")


def test_each_partition_asks_once_while_offsets_grow() -> None:
    cluster = Cluster()
    origins = Origins(cast(TopicAdmin, cluster))
    found = [origins.of(message(offset=offset))() for offset in (5, 6, 9)]
    found.append(origins.of(replace(message(offset=0), partition=2))())
    assert found == ["c/t1"] * 4
    assert cluster.asked == 2


def test_a_topic_made_anew_is_another_origin() -> None:
    cluster = Cluster()
    origins = Origins(cast(TopicAdmin, cluster))
    assert origins.of(message(offset=0))() == "c/t1"
    cluster.made = 2
    assert origins.of(message(offset=0))() == "c/t2"
    assert origins.of(message(offset=1))() == "c/t2"
    assert message().topic == TOPIC


def test_what_was_read_before_keeps_the_origin_it_had() -> None:
    cluster = Cluster()
    origins = Origins(cast(TopicAdmin, cluster))
    old = origins.of(message(offset=3))
    assert old() == "c/t1"
    cluster.made = 2
    assert origins.of(message(offset=0))() == "c/t2"
    assert old() == "c/t1"
