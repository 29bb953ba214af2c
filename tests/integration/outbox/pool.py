"""PgBouncer in front of a PostgreSQL of the tests' own, and processes that work through it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from devops.native.errors import NativeError
from devops.native.folder import Folder
from devops.native.services import Services
from tests.integration.conftest import ROOT
from tests.integration.outbox.conftest import SHORT_LEASE, Watched

SESSIONS = 3


@dataclass
class Pool:
    """One database behind PgBouncer.

    Args:
        services: PostgreSQL and PgBouncer.
        name: the database.
        topic: what the model Sample publishes to.
    """

    services: Services
    name: str
    topic: str
    started: list[Watched] = field(default_factory=list)

    def url(self, service: str) -> str:
        """The database's address, straight or through PgBouncer."""
        parts = urlsplit(self.services.url(service))
        return urlunsplit(parts._replace(path=f"/{self.name}"))

    def run(self, *arguments: str, **more: str) -> Watched:
        """Start ``manage.py`` through PgBouncer."""
        base = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUNBUFFERED": "1"}
        address = {"DATABASE_URL": self.url("pgbouncer"), "SAMPLE_TOPIC": self.topic}
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=os.environ | base | SHORT_LEASE | address | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(Watched(process))
        return self.started[-1]

    def finish(self, *arguments: str, **more: str) -> list[str]:
        """Run ``manage.py`` through PgBouncer to its good end; return what it said."""
        watched = self.run(*arguments, **more)
        assert watched.process.wait(180) == 0, watched.lines
        return watched.lines

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask PostgreSQL, past PgBouncer."""
        with psycopg.connect(self.url("postgres")) as connection:
            return connection.execute(query, parameters).fetchall()

    def clients(self) -> int:
        """How many connections PgBouncer has from clients of this database."""
        address = urlunsplit(urlsplit(self.services.url("pgbouncer"))._replace(query="", path=""))
        with psycopg.connect(
            f"{address}/pgbouncer", autocommit=True, cursor_factory=psycopg.ClientCursor
        ) as console:
            answer = console.execute("SHOW CLIENTS")
            columns = [column.name for column in answer.description or ()]
            return [row[columns.index("database")] for row in answer].count(self.name)

    def sessions(self) -> int:
        """How many sessions of PostgreSQL they share."""
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"
        with psycopg.connect(self.url("postgres")) as connection:
            own = connection.info.backend_pid
            [(count,)] = connection.execute(asked, [self.name, own]).fetchall()
        return int(count)

    def end(self) -> None:
        """End what still runs."""
        for watched in self.started:
            watched.end(signal.SIGKILL)
            assert watched.process.stdout is not None
            watched.process.stdout.close()


@contextmanager
def pooled_postgres(folder: Path) -> Iterator[Services]:
    """Have PostgreSQL and PgBouncer up, which no other test uses, and logs that tell databases."""
    services = Services(Folder(folder))
    try:
        try:
            services.start("postgres")
            services.start("pgbouncer")
        except NativeError as error:
            pytest.fail(
                f"{error}\nThese tests need PgBouncer. As root they install it; else run 'sudo "
                "apt-get install pgbouncer'. 'python3 -m devops.native start pgbouncer' starts it "
                "by hand, where PostgreSQL is up.",
                pytrace=False,
            )
        as_superuser(
            services, "ALTER SYSTEM SET log_line_prefix = '%d|'", "SELECT pg_reload_conf()"
        )
        yield services
    finally:
        services.down()


def make_database(services: Services) -> str:
    """Make a database in which every statement is logged; return its name."""
    name = f"pool_{uuid.uuid4().hex[:12]}"
    as_superuser(
        services,
        f"CREATE DATABASE {name} OWNER mediajira",
        f"ALTER DATABASE {name} SET log_statement = 'all'",
    )
    return name


def as_superuser(services: Services, *statements: str) -> None:
    """Have PostgreSQL do what our user may not."""
    parts = urlsplit(services.url("postgres"))
    netloc = parts.netloc.replace("mediajira:", "postgres:", 1)
    address = urlunsplit(parts._replace(netloc=netloc, path="/postgres"))
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
