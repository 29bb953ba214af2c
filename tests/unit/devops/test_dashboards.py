"""The dashboards' files are what the code says, and ask for metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devops.grafana import boards
from tests.unit.observe.test_guide import ours

ROOT = Path(__file__).resolve().parents[3]
GRAFANA = ROOT / "devops" / "grafana"

# From the source of danielqsj/kafka_exporter, kafka_exporter.go, where the metrics are described.
# The program itself cannot be had on the machine that runs these tests.
EXPORTER = {
    "kafka_consumergroup_lag": {"consumergroup", "topic", "partition"},
    "kafka_consumergroup_current_offset": {"consumergroup", "topic", "partition"},
    "kafka_consumergroup_members": {"consumergroup"},
    "kafka_topic_partition_current_offset": {"topic", "partition"},
    "kafka_topic_partition_oldest_offset": {"topic", "partition"},
}
# What Prometheus itself makes.
BUILT_IN = {"up", "ALERTS"}
# The broker's, which tests/integration/devops/test_watching.py reads from a real one.
BROKER = re.compile(r"kafka_(server|controller|network|log)_|jvm_")
NAME = re.compile(r"\b((?:kafka|jvm)_\w+|up|ALERTS)\b(?=[{\[\s)]|$)")


def panels(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GRAFANA / file).read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    """Return every PromQL expression of dashboards and alerts."""
    for file in boards.ALL:
        yield from (target["expr"] for panel in panels(file) for target in panel["targets"])
    alerts = yaml.safe_load((ROOT / "devops/prometheus/alerts.yml").read_text())
    yield from (rule["expr"] for group in alerts["groups"] for rule in group["rules"])


def known() -> set[str]:
    """Return the names that we and the exporter have, with those of a histogram's parts."""
    parts = {f"{name}{part}" for name in ours() for part in ("_bucket", "_sum", "_count")}
    return ours() | parts | EXPORTER.keys() | BUILT_IN


@pytest.mark.parametrize("file", boards.ALL)
def test_a_file_is_what_the_code_says(file: str) -> None:
    text = (GRAFANA / file).read_text()
    assert text == boards.ALL[file].text(), "write it again: python3 -m devops.grafana"


def test_the_titles_are_those_of_the_guide() -> None:
    titles = {file: board.title for file, board in boards.ALL.items()}
    assert titles["kafka-dashboard.json"] == "Kafka Broker Overview"
    assert titles["kafka-consumer-lag-dashboard.json"] == "Kafka Consumer Lag"
    assert len({board.uid for board in boards.ALL.values()}) == 3


@pytest.mark.django_db
def test_every_metric_of_dashboards_and_alerts_exists() -> None:
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    unknown = {name for name in asked - known() if not BROKER.match(name)}
    assert unknown == set()
    assert len(asked) > 40


def test_no_expression_makes_numbers_up() -> None:
    assert not [expression for expression in expressions() if "vector(" in expression]


@pytest.mark.parametrize("file", boards.ALL)
def test_every_panel_says_what_it_shows_and_asks_the_source_of_the_page(file: str) -> None:
    for panel in panels(file):
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["type"] in ("timeseries", "stat", "table")
        asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert asked == [{"type": "prometheus", "uid": "${datasource}"}] * len(asked)


@pytest.mark.parametrize("file", boards.ALL)
def test_panels_do_not_overlap_and_stay_within_the_page(file: str) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in panels(file):
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        mine = {(x, at["y"]) for x in range(at["x"], at["x"] + at["w"])}
        assert not mine & cells
        cells |= mine


@pytest.mark.parametrize("file", boards.ALL)
def test_the_page_lets_one_choose_prometheus(file: str) -> None:
    first = json.loads((GRAFANA / file).read_text())["templating"]["list"][0]
    assert (first["name"], first["type"], first["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )


@pytest.mark.parametrize("file", boards.ALL)
def test_a_legend_names_labels_that_its_expression_keeps(file: str) -> None:
    for panel in panels(file):
        for target in panel["targets"]:
            kept = set(re.split(r",\s*", ", ".join(re.findall(r"by \(([^)]*)\)", target["expr"]))))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, target


def test_lag_panels_group_by_labels_that_the_exporter_has() -> None:
    for panel in panels("kafka-consumer-lag-dashboard.json"):
        for target in panel["targets"]:
            names = [name for name in NAME.findall(target["expr"]) if name in EXPORTER]
            by = re.search(r"by \(([^)]*)\)", target["expr"])
            for name in names:
                assert by is None or set(by[1].split(", ")) <= EXPORTER[name]
