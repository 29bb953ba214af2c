"""All native services of a folder; what the commands do, and tests may call.

::

    services = Services()
    services.up()
    services.stop("kafka")      # SIGTERM; its port and data are kept
    services.start("kafka")
    services.signal("kafka", SIGSTOP)   # frozen; its connections stay
    services.signal("kafka", SIGCONT)
    services.environment()      # {"KAFKA_BROKER": "127.0.0.1:…", …}
    services.down()             # stops all and removes their data
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from signal import Signals

from . import classpath, packages
from .errors import NativeError, NotRunningError
from .folder import Folder
from .kafka import Kafka
from .metered import MeteredKafka
from .pgbouncer import PgBouncer
from .postgres import Postgres
from .redis import Redis
from .service import Service
from .state import State

KINDS: tuple[type[Service], ...] = (Kafka, Postgres, Redis)
# Started by name only. PgBouncer stands in front of PostgreSQL, which has to be up before.
ON_DEMAND: tuple[type[Service], ...] = (PgBouncer, MeteredKafka)
NAMES = tuple(kind.name for kind in KINDS)
ALL_NAMES = NAMES + tuple(kind.name for kind in ON_DEMAND)


class Services:
    """The services of one data folder."""

    def __init__(self, folder: Folder | None = None) -> None:
        self.folder = folder or Folder.default()

    def up(self, names: Iterable[str] = NAMES) -> None:
        """Install what is missing and start what does not run, all at once.

        If one fails, those that this call started are stopped again.
        """
        wanted = tuple(names)
        with self.folder.locked():
            packages.ensure()
            classpath.ensure(self.folder)
            members = self._members(wanted)
            before = {name for name, member in members.items() if member.record.alive}
            try:
                _all_at_once(member.start for member in members.values())
            except BaseException:
                _all_at_once(members[name].stop for name in wanted if name not in before)
                raise

    def down(self) -> None:
        """Stop all, remove their data and forget their ports; logs stay."""
        with self.folder.locked():
            members = self._members(ALL_NAMES)
            _all_at_once(member.forget for member in members.values())
            State(self.folder.state).clear()

    def start(self, name: str) -> None:
        """Start one service, with its port and data if it ran before."""
        self.up([name])

    def stop(self, name: str, signum: Signals | None = None) -> None:
        """Stop one service and keep its port and data.

        Args:
            signum: how to ask it to end, such as ``SIGKILL``; None means the orderly way.
        """
        with self.folder.locked():
            self._members([name])[name].stop(signum)

    def signal(self, name: str, signum: Signals) -> None:
        """Send a signal to one service: ``SIGSTOP`` freezes it, ``SIGCONT`` lets it go on.

        Raises:
            NotRunningError: it does not run.
        """
        self._members([name])[name].signal(signum)

    def restart(self, name: str) -> None:
        """Stop one service and start it again."""
        self.stop(name)
        self.start(name)

    def running(self) -> set[str]:
        """The names of the services whose processes run."""
        members = self._members(ALL_NAMES).items()
        return {name for name, member in members if member.record.alive}

    def environment(self) -> dict[str, str]:
        """The variables that point clients at these services.

        Raises:
            NotRunningError: one of those that ``up`` starts does not run.
        """
        members = self._members(ALL_NAMES)
        alive = {name: member for name, member in members.items() if member.record.alive}
        if absent := [name for name in NAMES if name not in alive]:
            raise NotRunningError(absent)
        merged: dict[str, str] = {}
        for member in alive.values():
            merged.update(member.environment(member.record))
        return merged

    def url(self, name: str) -> str:
        """The address of one service that runs, as its clients want it.

        Raises:
            NotRunningError: it does not run.
        """
        member = self._members([name])[name]
        if not member.record.alive:
            raise NotRunningError([name])
        return next(iter(member.environment(member.record).values()))

    def variables(self, name: str) -> dict[str, str]:
        """The variables of one service that runs.

        Raises:
            NotRunningError: it does not run.
        """
        member = self._members([name])[name]
        if not member.record.alive:
            raise NotRunningError([name])
        return member.environment(member.record)

    def status(self) -> list[tuple[str, str, str]]:
        """For each service its name, ``up``, ``silent`` or ``down``, and where it is."""
        members = self._members(ALL_NAMES)
        shown = [one for name, one in members.items() if name in NAMES or one.record.alive]
        return [_describe(member) for member in shown]

    @contextmanager
    def session(self) -> Iterator[dict[str, str]]:
        """Have all up meanwhile; afterwards stop what was not up before."""
        before = self.running()
        try:
            self.up()
            yield self.environment()
        finally:
            self._leave(before)

    def _leave(self, before: set[str]) -> None:
        """Go back to what was running; with nothing of it left, remove the data."""
        if not before:
            self.down()
            return
        for name in ALL_NAMES:
            if name not in before:
                self.stop(name)

    def _members(self, names: Iterable[str] = NAMES) -> dict[str, Service]:
        """The services by name, on one freshly read state."""
        state = State(self.folder.state)
        kinds = {kind.name: kind for kind in KINDS + ON_DEMAND}
        return {name: kinds[name](self.folder, state) for name in names}


def _describe(member: Service) -> tuple[str, str, str]:
    """One line of the status."""
    record = member.record
    if not record.alive:
        return member.name, "down", ""
    word = "up" if member.ready(record) else "silent"
    return member.name, word, f"127.0.0.1:{record.port} pid {record.pid}"


def _all_at_once(tasks: Iterable[Callable[[], None]]) -> None:
    """Run tasks in threads, wait for all, then raise the first error."""
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(task) for task in tasks]
    errors = [error for future in futures if (error := future.exception())]
    for error in errors:
        if not isinstance(error, NativeError):
            raise error
    if errors:
        raise errors[0]
