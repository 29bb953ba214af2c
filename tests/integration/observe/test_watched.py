"""A relay and a consumer in processes of their own, watched from outside."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from devops.native.ports import free_ports
from tests.integration.inbox.conftest import produce as produce
from tests.integration.outbox.conftest import publishing as publishing
from tests.sample.models import Effect, Sample

Start = Callable[..., subprocess.Popen[str]]
Eventually = Callable[..., None]


class Port:
    """The metrics port of a process."""

    def __init__(self) -> None:
        [self.number] = free_ports(1)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body; 0 while nobody listens."""
        try:
            url = f"http://127.0.0.1:{self.number}{path}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def values(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and values of a metric."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        found = [sample for family in families for sample in family.samples]
        return [(sample.labels, sample.value) for sample in found if sample.name == name]

    def value(self, name: str) -> float:
        """Return the sum of a metric's values."""
        return sum(value for _, value in self.values(name))


def group_of(topic: str) -> dict[str, str]:
    """Return the variables of a consumer in a group of its own.

    A consumer that a test before has killed is still a member of its group for 45 s.
    """
    return {"SAMPLE_TOPIC": topic, "KAFKA_GROUP_PREFIX": f"{topic}-"}


@pytest.fixture
def port() -> Port:
    return Port()


def test_a_relay_shows_what_went_out_and_what_waits(
    start: Start,
    publishing: Callable[[str], None],
    topic: str,
    port: Port,
    eventually: Eventually,
) -> None:
    publishing(topic)
    for number in range(20):
        Sample.objects.create(lane="l", number=number)
    start("kafka_relay", "--metrics-port", str(port.number), env={"SAMPLE_TOPIC": topic})
    eventually(lambda: port.value("kafka_outbox_published_events_total") == 20, timeout=60)
    assert port.get("/livez")[0] == 200
    assert port.get("/readyz") == (200, "Working, or nothing to do.\n")
    assert port.value("kafka_outbox_shards") == 16
    # A scrape may be two seconds old.
    eventually(lambda: port.value("kafka_outbox_leased_shards") == 16)
    assert port.value("kafka_outbox_batch_seconds_count") > 0
    turns = port.value("kafka_relay_turns_total")
    eventually(lambda: port.value("kafka_relay_turns_total") > turns)


def test_a_relay_without_kafka_is_alive_and_not_ready_and_shows_its_backlog(
    start: Start,
    publishing: Callable[[str], None],
    topic: str,
    port: Port,
    eventually: Eventually,
) -> None:
    publishing(topic)
    Sample.objects.create(lane="l", number=1)
    [nobody] = free_ports(1)
    env = {"SAMPLE_TOPIC": topic, "KAFKA_BROKER": f"127.0.0.1:{nobody}"}
    start("kafka_relay", "--metrics-port", str(port.number), env=env)
    eventually(lambda: "No Kafka broker answers" in port.get("/readyz")[1], timeout=90)
    assert port.get("/readyz")[0] == 503
    assert port.get("/livez")[0] == 200
    assert ({"topic": topic}, 1.0) in port.values("kafka_outbox_queued_events")
    assert port.value("kafka_outbox_oldest_seconds") > 0


def test_a_consumer_shows_what_it_handled_and_what_is_dead(
    start: Start,
    produce: Callable[..., None],
    topic: str,
    port: Port,
    eventually: Eventually,
) -> None:
    produce(b'{"lane": "l", "number": 1}', b"{", headers=[("ce_type", b"SampleCreated")])
    env = group_of(topic) | {"KAFKA_METRICS_PORT": str(port.number)}
    start("kafka_consume", "--group", "sample", env=env)

    def outcomes() -> dict[str, float]:
        found: Any = port.values("kafka_inbox_messages_total")
        return {labels["outcome"]: value for labels, value in found}

    eventually(lambda: outcomes() == {"handled": 1, "dead": 1}, timeout=60)
    assert Effect.objects.count() == 1
    assert port.get("/readyz")[0] == 200
    where = {"group": "sample", "handler": "tests.sample.events.take_effect"}
    assert (where, 1.0) in port.values("kafka_inbox_handler_seconds_count")
    dead = {"group": "sample", "topic": topic, "status": "dead"}
    eventually(lambda: (dead, 1.0) in port.values("kafka_inbox_open_records"))


def test_a_handler_that_hangs_makes_a_consumer_unready(
    start: Start,
    produce: Callable[..., None],
    topic: str,
    port: Port,
    eventually: Eventually,
) -> None:
    produce(b'{"lane": "stuck", "number": 1}', headers=[("ce_type", b"SampleCreated")])
    env = group_of(topic) | {"SAMPLE_HANG": "stuck", "KAFKA_HEALTH_SECONDS": "5"}
    start("kafka_consume", "--group", "sample", "--metrics-port", str(port.number), env=env)
    eventually(lambda: "A handler has been at work for" in port.get("/readyz")[1], timeout=60)
    assert port.get("/livez")[0] == 200
    assert port.value("kafka_inbox_busy_seconds") > 5
