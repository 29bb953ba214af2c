"""The monitoring guide names every metric of ours, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kafka_integration.observe.consumer_metrics import ConsumerMetrics
from kafka_integration.observe.health import ConsumerHealth
from kafka_integration.observe.registry import state_registry
from kafka_integration.observe.relay_metrics import RelayMetrics
from kafka_integration.observe.server import show_health

GUIDE = Path(__file__).resolve().parents[3] / "devops/kafka/KAFKA_MONITORING.md"


def ours() -> set[str]:
    """Return the names of our metrics, counters with their suffix."""
    own = CollectorRegistry()
    RelayMetrics(own)
    ConsumerMetrics(own)
    show_health(own, "consumer", ConsumerHealth())
    found = [*own.collect(), *state_registry().collect()]
    return {metric.name + ("_total" if metric.type == "counter" else "") for metric in found}


@pytest.mark.django_db
def test_the_guide_and_the_code_name_the_same_metrics() -> None:
    text = GUIDE.read_text().partition("## The broker's metrics")[0]
    rows = [line for line in text.splitlines() if line.startswith("| `kafka_")]
    named = {name for row in rows for name in re.findall(r"`(kafka_\w+)", row.split(" | ")[0])}
    assert named == ours()
