"""PostgreSQL: a cluster of its own, apart from any that the system runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from . import process
from .ports import HOST
from .state import Record
from .unprivileged import UnprivilegedService

DATABASE = USER = "mediajira"
SUPERUSER = "postgres"
DEBIAN = Path("/usr/lib/postgresql")

SETTINGS = {
    "listen_addresses": HOST,
    # No socket file: its path is limited to about a hundred characters.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # fsync guards against a crash of the machine only. What tests do, killing the
    # server, leaves what was written in the system's cache, so commits survive.
    "fsync": "off",
    # These two stay on: without them a killed server would lose commits.
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

ROLE = """\
CREATE ROLE {user} LOGIN CREATEDB PASSWORD '{password}';
CREATE DATABASE {database} OWNER {user};
"""


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs, if one is installed."""
    for folder in _candidates():
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql")):
            return folder
    return None


def _candidates() -> Iterator[Path]:
    """Debian keeps each version's programs off the search path; others do not."""
    versions = [path for path in DEBIAN.glob("*") if path.name.isdigit()]
    for version in sorted(versions, key=lambda path: int(path.name), reverse=True):
        yield version / "bin"
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent


class Postgres(UnprivilegedService):
    """A server with the database and the user of the application."""

    name = "postgres"
    # Fast shutdown: SIGTERM would wait until the last client has left.
    stop_signal = signal.SIGINT

    def prepare(self, record: Record) -> None:
        """Make the cluster, its role and its database, before the server starts."""
        password = Path(record.folder) / "password"
        password.write_text(record.token)
        if self.user is not None:
            shutil.chown(password, self.user)
        make = ["initdb", "-D", self._data(record), "-U", SUPERUSER, "--auth=scram-sha-256"]
        look = ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._finish(record, [*make, *look, f"--pwfile={password}"])
        password.unlink()
        role = ROLE.format(user=USER, database=DATABASE, password=record.token)
        self._finish(record, ["postgres", "--single", "-D", self._data(record), SUPERUSER], role)

    def command(self, record: Record) -> process.Command:
        """The server; settings on its command line, as the port may change."""
        _adopt_lock(Path(self._data(record)) / "postmaster.pid")
        settings = {**SETTINGS, "port": str(record.port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return self._command(record, ["postgres", "-D", self._data(record), *options])

    def ready(self, record: Record) -> bool:
        """Whether our user may ask a question; the password is this cluster's alone."""
        return ask(record.port, record.token, Path(record.folder), self.user)

    def environment(self, record: Record) -> dict[str, str]:
        """Django's database."""
        login = f"{USER}:{record.token}"
        return {"DATABASE_URL": f"postgres://{login}@{HOST}:{record.port}/{DATABASE}"}

    def _data(self, record: Record) -> str:
        return str(Path(record.folder) / "data")

    def _finish(self, record: Record, args: list[str], stdin: str = "") -> None:
        process.finish(self._command(record, args), " ".join(args[:2]), stdin)

    def _command(self, record: Record, args: list[str]) -> process.Command:
        return _command(args, Path(record.folder), self.user)


def ask(port: int, password: str, cwd: Path, user: str | None) -> bool:
    """Whether a server, or a pool in front of it, answers a question of our user.

    Args:
        port: where it listens.
        password: of our user.
        cwd: a folder that ``user`` may enter.
        user: whom to run the client as; None means as ourselves.
    """
    query = ["-h", HOST, "-p", str(port), "-U", USER, "-d", DATABASE]
    command = _command(["psql", "-XAtqw", *query, "-c", "SELECT 1"], cwd, user)
    asked = subprocess.run(
        list(command.args),
        env={**(command.environment or {}), "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() == "1"


def _command(args: list[str], cwd: Path, user: str | None) -> process.Command:
    """A program of the installed version, deaf to a person's ``PG…`` variables."""
    folder = programs()
    program = str(folder / args[0]) if folder else args[0]
    environment = {key: value for key, value in os.environ.items() if key[:2] != "PG"}
    environment["PGCONNECT_TIMEOUT"] = "2"
    environment["LC_ALL"] = "C.UTF-8"
    return process.Command([program, *args[1:]], cwd, user, environment)


def _adopt_lock(path: Path) -> None:
    """Free the lock of a killed server whose process nobody has reaped yet.

    The server takes such a zombie for a rival, but never its own parent, which we
    are. The rest of the file stays: by it, it finds children of the killed one.
    """
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
