"""What all services have in common."""

from __future__ import annotations

import secrets
import shutil
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from . import ports, process
from .errors import NotRunningError, StartFailedError
from .folder import Folder
from .state import Record, State

ATTEMPTS = 3
PORT_SECONDS = 5.0


class Service(ABC):
    """One service of a folder: made, started, asked, stopped."""

    name: ClassVar[str]
    port_count: ClassVar[int] = 1
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 60.0
    stop_seconds: ClassVar[float] = 20.0

    def __init__(self, folder: Folder, state: State) -> None:
        self.folder = folder
        self.state = state

    @property
    def record(self) -> Record:
        """What is known of this service."""
        return self.state.get(self.name)

    @abstractmethod
    def prepare(self, record: Record) -> None:
        """Make the data folder, which is empty."""

    @abstractmethod
    def command(self, record: Record) -> process.Command:
        """The server's command, which stays in the foreground."""

    @abstractmethod
    def ready(self, record: Record) -> bool:
        """Whether our own instance answers, not just any server on that port."""

    @abstractmethod
    def environment(self, record: Record) -> dict[str, str]:
        """The variables that point a client here."""

    def make_folder(self) -> Path:
        """An empty data folder that the server can reach."""
        data = self.folder.data(self.name)
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        return data

    def make_token(self) -> str:
        """A secret of this instance."""
        return secrets.token_hex(12)

    def start(self) -> None:
        """Start unless it runs, then wait until it is ready."""
        for attempt in range(1, ATTEMPTS + 1):
            record = self.record
            if not record.alive:
                record = self._launch(record)
            if self._wait_ready(record):
                return
            # A port may have been taken since we looked; anything else fails again.
            if attempt == ATTEMPTS:
                raise StartFailedError(self.name, "ended while it was starting", self._log)
            time.sleep(0.3)

    def stop(self, signum: signal.Signals | None = None) -> None:
        """Stop the recorded process and keep its data and ports.

        Args:
            signum: how to ask it to end; None means the orderly way.
        """
        record = self.record
        process.stop(record.pid, record.started, signum or self.stop_signal, self.stop_seconds)
        record.pid, record.started = 0, ""
        if record.folder:
            self.state.put(record)

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to the recorded process, and leave the record alone.

        Raises:
            NotRunningError: it does not run.
        """
        record = self.record
        if not record.alive:
            raise NotRunningError([self.name])
        process.send(record.pid, signum)

    def forget(self) -> None:
        """Stop, then remove the data."""
        self.stop()
        if folder := self.record.folder:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.folder.log(self.name)

    def _launch(self, record: Record) -> Record:
        """Make what is missing and start the server."""
        if not record.prepared:
            self._log.unlink(missing_ok=True)
            self._prepare(record)
        if not ports.become_free(record.ports, PORT_SECONDS):
            taken, record.ports = record.ports, ports.free_ports(self.port_count)
            process.progress(
                f"{self.name} listens on {record.ports} now: another program has taken one of "
                f"{taken}. Clients need its new address"
            )
        record.pid, record.started = process.spawn(self.command(record), self._log)
        self.state.put(record)
        return record

    def _prepare(self, record: Record) -> None:
        """Make the data folder; recorded before, so that ``down`` finds half a one."""
        if record.folder:
            shutil.rmtree(record.folder, ignore_errors=True)
        record.folder = str(self.make_folder())
        record.token = self.make_token()
        record.ports = ports.free_ports(self.port_count)
        self.state.put(record)
        self.prepare(record)
        record.prepared = True

    def _wait_ready(self, record: Record) -> bool:
        """Wait for the answer; false if the process ended instead."""
        deadline = time.monotonic() + self.start_seconds
        while record.alive:
            if self.ready(record):
                return True
            if time.monotonic() > deadline:
                reason = f"did not answer on port {record.port} within {self.start_seconds:g} s"
                raise StartFailedError(self.name, reason, self._log)
            time.sleep(process.POLL)
        return False
