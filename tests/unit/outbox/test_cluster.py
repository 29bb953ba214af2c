"""Which Kafka the outbox is sent to."""

from __future__ import annotations

import pytest

from kafka_integration.errors import ClusterChanged
from kafka_integration.models import OutboxSetup
from kafka_integration.outbox.cluster import ClusterGuard

pytestmark = pytest.mark.django_db


def check(found: str, *, adopt: bool = False) -> str:
    """Let a new relay meet a cluster; return what the outbox remembers."""
    ClusterGuard("default", adopt=adopt).check(lambda: found)
    return OutboxSetup.objects.cluster_id()


def test_the_first_one_is_remembered_and_the_shards_stay() -> None:
    OutboxSetup.objects.create(shard_count=3)
    assert check("one") == "one"
    assert check("one") == "one"
    assert OutboxSetup.objects.get().shard_count == 3


def test_without_a_row_it_is_remembered_too() -> None:
    assert check("one") == "one"
    assert OutboxSetup.objects.shards() == 16


def test_another_one_is_refused_with_both_names_and_the_cure() -> None:
    check("one")
    with pytest.raises(ClusterChanged) as caught:
        check("two")
    for part in ("cluster one", "cluster two", "--adopt-cluster", "made anew"):
        assert part in str(caught.value)
    assert OutboxSetup.objects.cluster_id() == "one"


def test_it_is_adopted_when_someone_says_so() -> None:
    check("one")
    assert check("two", adopt=True) == "two"
    assert check("two") == "two"


def test_a_cluster_without_an_id_never_blocks() -> None:
    assert check("") == ""
    check("one")
    assert check("") == "one"


def test_a_mock_cluster_is_never_remembered_and_takes_no_others_place() -> None:
    assert check("mockCluster1") == ""
    assert check("mockCluster2") == ""
    check("one")
    with pytest.raises(ClusterChanged):
        check("mockCluster1")
    assert check("mockCluster1", adopt=True) == ""


def test_of_two_that_are_first_the_faster_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    remember = OutboxSetup.remember_cluster

    def too_late(self: OutboxSetup, cluster_id: str, instead_of: str) -> bool:
        OutboxSetup.objects.update(cluster_id="two")
        return remember(self, cluster_id, instead_of)

    monkeypatch.setattr(OutboxSetup, "remember_cluster", too_late)
    with pytest.raises(ClusterChanged):
        check("one")


def test_kafka_is_asked_once() -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("one")
        return "one"

    guard = ClusterGuard("default")
    guard.check(ask)
    guard.check(ask)
    assert asked == ["one"]
