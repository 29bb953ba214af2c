"""A Django project that is not ours, in an environment and a database of its own."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from .commands import clean_environment, make_environment, succeed

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Kind:
    """What kind of project it is.

    Args:
        template: the folder with its code.
        settings: its settings module.
        packages: what is installed beside our wheel.
        versions: what Django and the database driver must turn out to be.
        app: its Django app.
        group: the consumer group of its handler.
        topic: the topic's name in its code; a copy of the project has one of its own.
        effect: the query for what the handler did.
        headline: the text in the effect.
    """

    template: str
    settings: str
    packages: tuple[str, ...]
    versions: tuple[str, str]
    app: str
    group: str
    topic: str
    effect: str
    headline: str


@dataclass(frozen=True)
class Project:
    """One copy of such a project.

    Args:
        kind: what it was copied from.
        folder: where it lies.
        python: its interpreter.
        database: the URL of its database.
        topic: its topic.
    """

    kind: Kind
    folder: Path
    python: Path
    database: str
    topic: str

    def run(self, *arguments: str) -> str:
        """Run its interpreter and return the output; fail with it if the exit code is not 0."""
        environment = clean_environment(
            DATABASE_URL=self.database,
            DJANGO_SETTINGS_MODULE=self.kind.settings,
            KAFKA_BROKER=os.environ["KAFKA_BROKER"],
        )
        return succeed(self.python, *arguments, cwd=self.folder, env=environment)

    def manage(self, *arguments: str) -> str:
        """Run its ``manage.py`` likewise."""
        return self.run("manage.py", *arguments)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask its database, with no code of ours and no Django."""
        with psycopg.connect(self.database) as connection:
            return connection.execute(statement).fetchall()


def make(kind: Kind, folder: Path, database: str, wheel: Path) -> Project:
    """Copy the template, give it a topic of its own, and install it with our wheel."""
    shutil.copytree(HERE / kind.template, folder)
    topic = kind.topic.replace(".json", f"_{uuid.uuid4().hex[:8]}.json")
    for path in [*folder.rglob("*.py"), *folder.rglob("*.yaml")]:
        path.write_text(path.read_text().replace(kind.topic, topic))
    return Project(kind, folder, make_environment(folder, *kind.packages, wheel), database, topic)


@contextmanager
def new_database() -> Iterator[str]:
    """Make an empty database beside the one of ``DATABASE_URL``; hand out its URL; drop it."""
    server = os.environ["DATABASE_URL"]
    name = f"wheel_{uuid.uuid4().hex[:12]}"
    _execute(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        _execute(server, drop)


def _execute(database: str, statement: sql.Composed) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(statement)
