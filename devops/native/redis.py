"""Redis: the broker of Celery."""

from __future__ import annotations

import socket
from pathlib import Path

from . import process
from .ports import HOST
from .service import Service
from .state import Record

TIMEOUT = 2.0


class Redis(Service):
    """A server that keeps its queues over a restart."""

    name = "redis"

    def prepare(self, record: Record) -> None:
        """Nothing to make: the server fills its folder."""

    def command(self, record: Record) -> process.Command:
        """The server. Appended without fsync: a killed server loses nothing by it."""
        listen = ["--bind", HOST, "--port", str(record.port), "--daemonize", "no"]
        keep = ["--dir", record.folder, "--save", "", "--appendonly", "yes"]
        args = ["redis-server", *listen, *keep, "--appendfsync", "no"]
        return process.Command(args, Path(record.folder))

    def ready(self, record: Record) -> bool:
        """Whether it answers PING, and is the process that we started."""
        try:
            with socket.create_connection((HOST, record.port), TIMEOUT) as connection:
                connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
                answer = _read_all(connection)
        except OSError:
            return False
        return answer.startswith(b"+PONG") and f"process_id:{record.pid}\r\n".encode() in answer

    def environment(self, record: Record) -> dict[str, str]:
        """Celery's broker."""
        return {"CELERY_BROKER_URL": f"redis://{HOST}:{record.port}/0"}


def _read_all(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)
