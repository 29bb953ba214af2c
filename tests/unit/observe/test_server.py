"""The port of a relay or a consumer."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from devops.native.ports import free_ports
from kafka_integration import signals
from kafka_integration.errors import ConfigurationError
from kafka_integration.observe import watching
from kafka_integration.observe.heartbeat import Verdict
from kafka_integration.observe.server import Probes, listening, show_health
from kafka_integration.observe.watching import watched


class Patient:
    """A health that a test sets."""

    def __init__(self) -> None:
        self.alive = Verdict(True, "The loop goes round.")
        self.able = Verdict(False, "Waiting: Kafka does not answer.")

    def live(self) -> Verdict:
        return self.alive

    def ready(self) -> Verdict:
        return self.able


def get(url: str) -> tuple[int, str]:
    try:
        with closing(urllib.request.urlopen(url, timeout=30)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def url(registry: CollectorRegistry, patient: Patient) -> Iterator[str]:
    with listening(Probes((registry,), patient), "127.0.0.1", 0) as url:
        yield url


def test_probes_answer_by_the_health(url: str, patient: Patient) -> None:
    assert get(f"{url}/livez") == (200, "The loop goes round.\n")
    assert get(f"{url}/readyz") == (503, "Waiting: Kafka does not answer.\n")
    patient.alive, patient.able = Verdict(False, "It hangs."), Verdict(True, "Working.")
    assert get(f"{url}/livez") == (503, "It hangs.\n")
    assert get(f"{url}/readyz?verbose") == (200, "Working.\n")


def test_metrics_show_the_registry_and_the_health(
    url: str, registry: CollectorRegistry, patient: Patient
) -> None:
    Counter("cups", "Cups.", registry=registry).inc(2)
    show_health(registry, "relay", patient)
    status, text = get(f"{url}/metrics")
    values = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}
    assert status == HTTPStatus.OK
    assert values["cups_total"] == 2
    assert (values["kafka_process_live"], values["kafka_process_ready"]) == (1, 0)


def test_another_path_is_told_which_there_are(url: str) -> None:
    status, text = get(f"{url}/metric")
    assert status == HTTPStatus.NOT_FOUND
    assert "/metrics, /livez, /readyz" in text


def test_a_port_that_is_taken_is_an_error_that_names_the_cure(
    url: str, registry: CollectorRegistry, patient: Patient
) -> None:
    port = int(url.rpartition(":")[2])
    with (
        pytest.raises(ConfigurationError, match="--metrics-port"),
        listening(Probes((registry,), patient), "127.0.0.1", port),
    ):
        pass


def test_the_port_is_free_again_after_the_block(
    registry: CollectorRegistry, patient: Patient
) -> None:
    [port] = free_ports(1)
    for _ in range(2):
        with listening(Probes((registry,), patient), "127.0.0.1", port) as url:
            assert get(f"{url}/livez")[0] == HTTPStatus.OK


@pytest.mark.django_db
def test_a_watched_relay_shows_what_it_does() -> None:
    [port] = free_ports(1)
    with watched("relay", port) as url:
        assert url == f"http://127.0.0.1:{port}"
        assert get(f"{url}/readyz")[0] == HTTPStatus.SERVICE_UNAVAILABLE
        signals.batch_relayed.send(None, published=3, held=0, seconds=0.1)
        assert get(f"{url}/readyz")[0] == HTTPStatus.OK


def test_nothing_listens_where_no_port_is_given(settings: Settings) -> None:
    with watched("consumer", None) as url:
        assert url == ""
    settings.KAFKA_METRICS_PORT = free_ports(1)[0]
    with watched("consumer", 0) as url:
        assert url == ""
    with watched("consumer", None) as url:
        assert get(f"{url}/livez")[0] == HTTPStatus.OK


def test_a_project_without_the_extra_is_told_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "find_spec", lambda name: None)
    with (
        pytest.raises(
            ConfigurationError, match=r"pip install 'django-kafka-integration\[metrics\]'"
        ),
        watched("relay", 9400),
    ):
        pass


def test_a_project_without_the_extra_runs_commands_urls_and_logs() -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None; import django; django.setup(); "
        "import kafka_integration.observe.urls, kafka_integration.observe.json_log; "
        "from django.core.management import call_command; call_command('check'); "
        "call_command('kafka_relay', '--help')"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--metrics-port" in done.stdout
