"""Dashboards and alerts on the real thing: Kafka with the JMX agent, relay, consumer, Prometheus.

The one part that is missing is kafka-exporter; its dashboard is compared with its source only, in
tests/unit/devops/test_dashboards.py.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient, NewTopic
from django.db import transaction
from django.utils import timezone

from devops.grafana import boards
from devops.native.folder import Folder
from devops.native.ports import free_ports
from devops.native.services import Services
from kafka_integration import publish
from kafka_integration.models import InboxRecord
from kafka_integration.models.inbox import InboxStatus
from tests.sample.events import SampleCreated
from tests.unit.devops.test_dashboards import BROKER, EXPORTER, NAME

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "devops" / "prometheus"


@dataclass
class Prometheus:
    """A server that watches what a test started, twice a second."""

    port: int

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression at this moment."""
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def value(self, expression: str) -> float:
        """Return the value of the only series; 0 if there is none yet."""
        try:
            return sum(float(series["value"][1]) for series in self.ask(expression))
        except OSError:
            return 0.0


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A broker with the JMX agent."""
    folder = Folder(tmp_path / "native")
    folder.create()
    # Resolved before, for the broker of the other tests.
    shutil.copy(os.environ["KAFKA_CLASSPATH_FILE"], folder.root)
    services = Services(folder)
    try:
        services.up(["metered-kafka"])
        yield services.variables("metered-kafka")
    finally:
        services.down()


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[dict[str, str]], Prometheus]]:
    """Start Prometheus with the project's configuration, its targets found elsewhere."""
    started: list[subprocess.Popen[bytes]] = []

    def run(targets: dict[str, str]) -> Prometheus:
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
        jobs = [job for job in config["scrape_configs"] if job["job_name"] in targets]
        for job in jobs:
            # The agent takes longer than half a second on a busy machine.
            seconds = "4s" if job["job_name"] == "kafka" else "500ms"
            job |= {"scrape_interval": seconds, "scrape_timeout": seconds}
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        config["scrape_configs"] = jobs
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        [port] = free_ports(1)
        command = [
            "prometheus",
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        started.append(subprocess.Popen(command))
        return Prometheus(port)

    yield run
    for process in started:
        process.terminate()
        process.wait(30)


def make_topic(broker: str) -> str:
    """Make a topic that takes small messages only, and its dead-letter topic."""
    admin = AdminClient({"bootstrap.servers": broker})
    wanted = [
        NewTopic("watched.made.json", 3, 1, config={"max.message.bytes": "3000"}),
        NewTopic("watched.made.json.dlq", 1, 1),
    ]
    for made in admin.create_topics(wanted).values():
        made.result(timeout=60)
    return "watched.made.json"


def load(topic: str, numbers: range) -> None:
    """Publish events; that of the first number is too large for the topic and is held."""
    with transaction.atomic():
        for number in numbers:
            publish(SampleCreated(lane=f"l{number % 5}", number=number), topic=topic, key="k")
        publish(
            SampleCreated(lane=secrets.token_hex(3_000), number=0),
            topic=topic,
            key=f"big-{numbers.start}",
        )
        # No column takes it: its handler fails, is tried again, and gives it up.
        publish(SampleCreated(lane="y" * 60, number=0), topic=topic, key=f"bad-{numbers.start}")


def park(topic: str) -> None:
    """Leave a message that waits for another try."""
    InboxRecord.objects.create(
        group="sample",
        source="s",
        event_id="parked",
        status=InboxStatus.PARKED,
        topic=topic,
        partition=0,
        offset=0,
        available_at=timezone.now() + timedelta(days=1),
    )


def asked_of(text: str) -> bool:
    """Tell whether an expression asks for something that is here: not of the exporter."""
    names = set(NAME.findall(text))
    return not names & EXPORTER.keys() and "ALERTS" not in names


def plain(expression: str) -> str:
    """Return an expression as Grafana would send it."""
    return expression.replace("$__rate_interval", "60s")


def test_every_panel_has_live_series_with_the_labels_that_it_shows(
    kafka: dict[str, str],
    prometheus: Callable[[dict[str, str]], Prometheus],
    start: Callable[..., Any],
    eventually: Callable[..., None],
    settings: Any,
) -> None:
    settings.KAFKA_TOPICS_FILE = ""
    topic = make_topic(kafka["METERED_KAFKA_BROKER"])
    relay, consumer = free_ports(2)
    env = {
        "KAFKA_BROKER": kafka["METERED_KAFKA_BROKER"],
        "SAMPLE_TOPIC": topic,
        "KAFKA_HANDLER_BACKOFF_SECONDS": "0.1",
    }
    load(topic, range(1, 50))
    park(topic)
    start("kafka_relay", "--metrics-port", str(relay), env=env)
    start("kafka_consume", "--group", "sample", "--metrics-port", str(consumer), env=env)
    server = prometheus(
        {
            "kafka": urllib.parse.urlsplit(kafka["METERED_KAFKA_URL"]).netloc,
            "relay": f"127.0.0.1:{relay}",
            "consumer": f"127.0.0.1:{consumer}",
        }
    )
    handled = 'sum(kafka_inbox_messages_total{outcome="handled"})'
    dead = 'max(kafka_inbox_open_records{status="dead"})'
    eventually(lambda: server.value(handled) == 49, timeout=120, what="handled")
    eventually(lambda: server.value(dead) == 1, timeout=60, what="dead")

    written = 'kafka_server_topic_messagesin_total{topic="watched.made.json"}'
    eventually(lambda: server.ask(f"rate({written}[60s])"), timeout=60, what="the broker is seen")

    # A second load, while it is watched.
    load(topic, range(100, 150))
    eventually(lambda: server.value(handled) == 99, timeout=60, what="handled again")
    eventually(lambda: server.value(dead) == 2, timeout=60, what="dead again")
    eventually(lambda: server.value(f"rate({written}[60s])") > 0, timeout=60, what="more written")
    silent = {(p.title, e) for p, e, legend in panels() if not shows(server, e, legend)}
    assert silent == set()
    for expression in (
        "sum(rate(kafka_outbox_published_events_total[60s]))",
        "sum(rate(kafka_inbox_handler_seconds_count[60s]))",
        "sum(rate(kafka_inbox_retries_total[60s]))",
    ):
        assert server.value(expression) > 0, expression
    assert server.value("sum(max by (topic) (kafka_outbox_held_keys))") == 2
    alerts = {series["metric"]["alertname"] for series in server.ask("ALERTS")}
    assert {"OutboxKeysHeld", "InboxDeadMessages"} <= alerts
    assert not alerts & {
        "KafkaBrokerDown",
        "KafkaNoController",
        "KafkaProcessHangs",
        "RelayMissing",
    }
    real = set(NAME.findall(" ".join(names_of(kafka["METERED_KAFKA_URL"]))))
    assert broker_names() - real == set()


def panels() -> list[tuple[Any, str, str]]:
    """Return panel, expression and legend of all that can be asked here."""
    return [
        (panel, expression, legend)
        for board in boards.ALL.values()
        for panel in board.panels
        for expression, legend in panel.queries
        if asked_of(expression)
    ]


def shows(server: Prometheus, expression: str, legend: str) -> bool:
    """Tell whether an expression has series, each with the labels of its legend."""
    labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
    found = server.ask(plain(expression))
    return bool(found) and all(labels <= series["metric"].keys() for series in found)


def names_of(url: str) -> list[str]:
    """Return the names that a port shows."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return [re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")]


def broker_names() -> set[str]:
    """Return the broker's metrics that dashboards and alerts ask for."""
    alerts = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    texts = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    texts += [expression for _, expression, _ in panels()]
    return {name for text in texts for name in NAME.findall(text) if BROKER.match(name)}
