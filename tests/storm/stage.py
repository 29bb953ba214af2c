"""Where a storm takes place: services that it may stop, a database and topics of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from devops.native.services import Services

from . import topics
from .crew import ROOT

NEEDED = ("kafka", "postgres")


class NoStage(Exception):
    """Raised when the services are not there, or came back elsewhere."""


@dataclass
class Stage:
    """Services, database and topics.

    Args:
        services: native services that nobody else uses.
        names: gives the topics of a run, by what they are for.
        settings: what else the crew finds in its environment.
    """

    services: Services
    names: Callable[[str], dict[str, str]]
    settings: Mapping[str, str]
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        if not self.services.running().issuperset(NEEDED):
            raise NoStage(
                "The storm stops and starts Kafka and PostgreSQL, so it needs native services of "
                "its own, and none run here. Start it with 'make storm' or 'make storm-inbound'."
            )
        self._found = self.services.environment()
        self.topics = self.names(self.run)
        self.broker = self._found["KAFKA_BROKER"]
        base, _, _ = self._found["DATABASE_URL"].rpartition("/")
        self.database = f"{base}/storm_{self.run}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the crew."""
        return os.environ | {
            **self._found,
            "DATABASE_URL": self.database,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONUNBUFFERED": "1",
            "STORM_RUN": self.run,
            "KAFKA_TOPICS_FILE": "",
            **self.settings,
        }

    def prepare(self, log: Path, *, catalogue: bool = False) -> None:
        """Make database, tables and topics.

        Args:
            log: the file that takes what commands say.
            catalogue: make the catalogue's topics too.
        """
        with psycopg.connect(self._found["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE storm_{self.run}")
        self._manage(log, self.environment, "migrate", "--run-syncdb")
        if catalogue:
            catalogued = {**self.environment}
            del catalogued["KAFKA_TOPICS_FILE"]
            self._manage(log, catalogued, "kafka_topics", "apply")
        topics.make(self.broker, self.topics.values())

    def _manage(self, log: Path, environment: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        with log.open("ab") as out:
            err = subprocess.STDOUT
            subprocess.run(command, cwd=ROOT, env=environment, stdout=out, stderr=err, check=True)

    def require_same_place(self) -> None:
        """Make sure that the services came back where the crew looks for them.

        Raises:
            NoStage: another program took a port meanwhile.
        """
        if self.services.environment() != self._found:
            raise NoStage("A service came back on another port. Start the storm again.")
