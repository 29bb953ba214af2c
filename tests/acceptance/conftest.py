"""What acceptance tests share: the wheel as a user gets it, and real services."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from .commands import clean_environment, succeed
from .snippets import ROOT

NEEDED = ("KAFKA_BROKER", "DATABASE_URL")


@pytest.fixture(scope="session")
def real_services() -> None:
    """Fail, never skip, where a service is missing."""
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing or not os.environ["DATABASE_URL"].startswith("postgres"):
        pytest.fail(
            "Real Kafka and PostgreSQL are needed: run 'make test', which starts them. "
            f"({' and '.join(missing) or 'DATABASE_URL of a PostgreSQL'} not set.)",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of ``kafka_integration``, built from the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    output = succeed(*build, cwd=ROOT)
    built = list(folder.glob("*.whl"))
    assert len(built) == 1, output
    return built[0]


@pytest.fixture(scope="session")
def catalogue_topics(real_services: None) -> None:
    """Every topic of MediaJira's catalogue exists."""
    environment = script_environment(DJANGO_SETTINGS_MODULE="tests.settings")
    succeed(sys.executable, "manage.py", "kafka_topics", "apply", cwd=ROOT, env=environment)


def script_environment(**further: str) -> dict[str, str]:
    """Return the environment of a plain script: Kafka's address, and no Django settings."""
    return clean_environment(
        KAFKA_BROKER=os.environ["KAFKA_BROKER"],
        PYTHONPATH=str(ROOT),
        PYTHONUNBUFFERED="1",
        **further,
    )
