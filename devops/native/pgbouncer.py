"""PgBouncer: few sessions of PostgreSQL, shared by many clients, a transaction at a time."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

from . import process
from .errors import NotRunningError
from .ports import HOST
from .postgres import DATABASE, USER, ask
from .state import Record
from .unprivileged import UnprivilegedService

DEBIAN = Path("/usr/sbin/pgbouncer")
POOL_SIZE = 3

SETTINGS = """\
[databases]
* = host={host} port={server}

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = {user}
pool_mode = transaction
default_pool_size = {pool}
min_pool_size = {pool}
max_client_conn = 500
server_round_robin = 1
"""
# Known since 1.21, and not 0 by itself since 1.24. Without it, a prepared statement that was
# made in one session is missing in the next, which is what tests are to see.
NO_PREPARED = "max_prepared_statements = 0\n"
NO_PREPARED_SINCE = (1, 21)


def program() -> str | None:
    """The server's program, if it is installed; Debian keeps it off people's search path."""
    return shutil.which("pgbouncer") or (str(DEBIAN) if DEBIAN.exists() else None)


class PgBouncer(UnprivilegedService):
    """A pool in transaction mode in front of the PostgreSQL of the same folder.

    It has three sessions for each database, gives them out in turn, and resets none of them: what a
    client leaves in one is met by the next.
    """

    name = "pgbouncer"
    # Lets open transactions end; SIGTERM waits until the last client has left, since 1.23.
    stop_signal = signal.SIGINT

    def prepare(self, record: Record) -> None:
        """Nothing to make: the files depend on PostgreSQL's port and password of the moment."""

    def command(self, record: Record) -> process.Command:
        """The pool, with its settings written anew: PostgreSQL's port may have changed.

        Raises:
            NotRunningError: PostgreSQL does not run.
        """
        server = self._server
        if not server.alive:
            raise NotRunningError(["postgres"])
        folder = Path(record.folder)
        settings, users = folder / "pgbouncer.ini", folder / "users.txt"
        self.write_secret(users, f'"{USER}" "{server.token}"\n')
        text = SETTINGS.format(
            host=HOST, port=record.port, server=server.port, users=users, user=USER, pool=POOL_SIZE
        )
        found = program() or "pgbouncer"
        self.write_secret(settings, text + (NO_PREPARED if _knows_prepared(found) else ""))
        return process.Command([found, str(settings)], folder, self.user)

    def ready(self, record: Record) -> bool:
        """Whether PostgreSQL answers our user through it."""
        return ask(record.port, self._server.token, Path(record.folder), self.user)

    def environment(self, record: Record) -> dict[str, str]:
        """Django's database by way of the pool, with the one setting that Django needs there."""
        login = f"{USER}:{self._server.token}@{HOST}:{record.port}"
        query = "DISABLE_SERVER_SIDE_CURSORS=true"
        return {"PGBOUNCER_URL": f"postgres://{login}/{DATABASE}?{query}"}

    @property
    def _server(self) -> Record:
        """The PostgreSQL behind it."""
        return self.state.get("postgres")


def _knows_prepared(found: str) -> bool:
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"(\d+)\.(\d+)", said)
    return version is not None and (int(version[1]), int(version[2])) >= NO_PREPARED_SINCE
