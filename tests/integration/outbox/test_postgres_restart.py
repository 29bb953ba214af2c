"""PostgreSQL restarted under a running relay; a server of its own, so that nobody else suffers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devops.native.folder import Folder
from devops.native.service import Service
from devops.native.services import Services
from tests.integration.conftest import ROOT
from tests.integration.outbox.conftest import (
    SHORT_LEASE,
    Exactly,
    Watched,
    each_once,
    numbers_by_key,
)

_SAVE = """
from tests.sample.models import Sample
for number in range({first}, {first} + 200):
    Sample(lane=f"lane-{{number % 5}}", number=number).save()
print("saved", flush=True)
"""


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A PostgreSQL that no other test uses."""
    found = Services(Folder(tmp_path_factory.mktemp("own-postgres")))
    try:
        found.up(["postgres"])
        yield found
    finally:
        found.down()


@pytest.fixture(params=[False, True], ids=["at-least-once", "exactly-once"])
def own_environment(
    services: Services, topic: str, exactly: Exactly, request: pytest.FixtureRequest
) -> dict[str, str]:
    """The environment of a process that works on that PostgreSQL."""
    [postgres] = services._members(["postgres"]).values()
    assert isinstance(postgres, Service)
    found = postgres.environment(postgres.record) | (exactly.env if request.param else SHORT_LEASE)
    base = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUNBUFFERED": "1"}
    return os.environ | base | found | {"SAMPLE_TOPIC": topic}


@pytest.fixture
def run(own_environment: dict[str, str]) -> Iterator[Callable[..., Watched]]:
    """Start ``manage.py``; what still runs is ended afterwards."""
    started: list[Watched] = []

    def begin(*arguments: str) -> Watched:
        command = [sys.executable, "manage.py", *arguments]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=own_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(Watched(process))
        return started[-1]

    yield begin
    for watched in started:
        watched.end(signal.SIGKILL)
        assert watched.process.stdout is not None
        watched.process.stdout.close()


def test_the_relay_goes_on_and_loses_nothing(
    services: Services,
    run: Callable[..., Watched],
    own_environment: dict[str, str],
    topic: str,
    read_topic: Callable[..., Any],
) -> None:
    assert run("migrate", "--run-syncdb", "-v0").process.wait(60) == 0
    relay = run("kafka_relay", "--batch-size", "50")
    assert run("shell", "-c", _SAVE.format(first=0)).process.wait(60) == 0
    assert read_topic(topic, expect=1)

    services.restart("postgres")

    assert run("shell", "-c", _SAVE.format(first=200)).process.wait(60) == 0
    read_topic(topic, expect=400)
    assert relay.process.poll() is None, relay.lines
    drained = run("kafka_relay", "--drain", "--timeout", "30")
    assert relay.end(signal.SIGTERM) == 0
    assert drained.process.wait(40) == 0
    found = each_once if "KAFKA_RELAY_EXACTLY_ONCE" in own_environment else numbers_by_key
    assert found(read_topic(topic)) == {
        f"lane-{lane}": list(range(lane, 400, 5)) for lane in range(5)
    }
