"""The compose file and the Dockerfile, as far as they can be shown right without Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

from kafka_integration.events.registry import registry

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "docker-compose.dev.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COPIED = [tuple(line.split()[1:3]) for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]


def test_the_file_satisfies_the_compose_specification() -> None:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("service", "image", "ports"),
    [
        ("kafka", "confluentinc/cp-kafka:7.6.0", ["29092:29092", "9999:9999"]),
        ("kafka-exporter", "danielqsj/kafka-exporter:", ["9308:9308"]),
        ("kafka-ui", "ghcr.io/kafbat/kafka-ui:", ["8081:8080"]),
        ("kcat", "edenhill/kcat:1.7.1", []),
        ("prometheus", "prom/prometheus:", ["9090:9090"]),
        ("grafana", "grafana/grafana:", ["3001:3000"]),
    ],
)
def test_services_have_the_images_and_ports_of_the_guide(
    service: str, image: str, ports: list[str]
) -> None:
    assert SERVICES[service]["image"].startswith(image)
    assert not SERVICES[service]["image"].endswith(":latest")
    assert SERVICES[service].get("ports", []) == [f"127.0.0.1:{port}" for port in ports]


@pytest.mark.parametrize("name", ["kafka", "kafka-exporter", "kafka-ui", "kcat"])
def test_containers_have_the_names_of_the_guide(name: str) -> None:
    assert SERVICES[name]["container_name"] == name


def test_every_port_is_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_from_the_repository_is_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    sources = [mount.split(":")[0] for mount in mounts]
    assert all((ROOT / source).exists() for source in sources if source.startswith("."))
    named = {source for source in sources if not source.startswith(".")}
    assert named == COMPOSE["volumes"].keys()


def test_the_agent_is_fetched_before_the_broker_starts_and_lies_where_it_is_looked_for() -> None:
    kafka, job = SERVICES["kafka"], SERVICES["jmx-agent"]
    assert kafka["depends_on"]["jmx-agent"]["condition"] == "service_completed_successfully"
    options = kafka["environment"]["KAFKA_OPTS"]
    found = re.fullmatch(r"-javaagent:(\S+)/jmx_prometheus_javaagent\.jar=9999:(\S+)", options)
    assert found
    assert job["command"][-1] == found[1]
    assert f"jmx_agent:{found[1]}:ro" in kafka["volumes"]
    assert f"jmx_agent:{found[1]}" in job["volumes"]
    assert "./devops/kafka:/etc/kafka-setup:ro" in kafka["volumes"]
    assert (ROOT / "devops/kafka" / Path(found[2]).relative_to("/etc/kafka-setup")).is_file()
    assert (ROOT / "devops/kafka" / Path(job["command"][1]).name).is_file()


def test_no_tool_in_the_broker_inherits_the_agent() -> None:
    assert "KAFKA_OPTS= kafka-" in SERVICES["kafka"]["healthcheck"]["test"][1]
    assert "KAFKA_JMX_PORT" not in SERVICES["kafka"]["environment"]


def test_auto_creation_is_off_and_the_ids_have_their_defaults() -> None:
    environment = SERVICES["kafka"]["environment"]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["CLUSTER_ID"] == "${CLUSTER_ID:-MW-7IGsmQbmFkrf2x7Ho5A}"
    assert environment["KAFKA_NODE_ID"] == "${KAFKA_NODE_ID:-1}"


def test_prometheus_watches_services_that_are_there() -> None:
    config = yaml.safe_load((ROOT / "devops/prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    targets = [t for job in jobs.values() for s in job["static_configs"] for t in s["targets"]]
    assert {target.split(":")[0] for target in targets} <= SERVICES.keys()
    consumers = {name for name in SERVICES if name.split("-")[0] == "consumer"}
    watched = jobs["consumer"]["static_configs"][0]["targets"]
    assert {target.split(":")[0] for target in watched} == consumers
    for name in ("relay", *consumers):
        assert SERVICES[name]["command"][-2:] == ["--metrics-port", "9400"]


def test_every_command_of_ours_is_one() -> None:
    for service in OURS.values():
        command = service["command"]
        if command[:2] != ["python", "manage.py"]:
            assert command[:3] == ["celery", "-A", "mediajira"]
            continue
        app = "kafka_integration" if command[2].startswith("kafka_") else "django.core"
        parser = load_command_class(app, command[2]).create_parser("manage.py", command[2])
        parser.parse_args(command[3:])


def test_every_group_has_a_consumer() -> None:
    asked = {
        service["command"][4]
        for service in OURS.values()
        if service["command"][2] == "kafka_consume"
    }
    assert asked == set(registry.groups()) - {"sample"}


def test_the_application_waits_for_its_tables_and_topics() -> None:
    for name in set(OURS) - {"migrate", "topics"}:
        needs = SERVICES[name]["depends_on"]
        for job in ("migrate", "topics"):
            assert needs[job]["condition"] == "service_completed_successfully"


def test_security_settings_are_handed_to_the_application_by_name() -> None:
    names = re.findall(r"^# (KAFKA_(?:SSL|SASL)_\w+)=", (ROOT / ".env.example").read_text(), re.M)
    assert len(names) >= 7
    for service in OURS.values():
        assert set(names) <= service["environment"].keys()


def test_the_image_runs_as_nobody_special_and_is_pinned() -> None:
    assert re.search(r"^USER (?!root)\w+$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^FROM python:3\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)


def test_what_the_image_has_is_enough_to_run(tmp_path: Path) -> None:
    for source, target in COPIED:
        at = tmp_path / (source if target.startswith(".") else target)
        at.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, at)
        else:
            shutil.copy(ROOT / source, at)
    needed = ("KAFKA_BROKER", "DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE")
    rest = {name: value for name, value in os.environ.items() if name not in needed}
    for command in (["check"], ["kafka_topics", "validate"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=tmp_path,
            env=rest | {"DEBUG": "on"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_takes_all_that_the_ignore_file_lets_through() -> None:
    allowed = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(allowed) == {source for source, _ in COPIED}
