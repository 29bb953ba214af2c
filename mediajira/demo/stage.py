"""The demonstration's processes: a relay, and a consumer for each group."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

_STOP_SECONDS = 15.0


class Stage:
    """Starts ``manage.py`` commands and stops them, each with a log of its own.

    Args:
        folder: where the logs go.
        root: the folder of ``manage.py``.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start ``manage.py`` with ``arguments``; its output goes to ``<name>.log``."""
        command = [sys.executable, str(self.root / "manage.py"), *arguments]
        with self._log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603  # our own manage.py
                command, stdout=log, stderr=subprocess.STDOUT, cwd=self.root
            )

    def dead(self) -> list[str]:
        """Return the names of the processes that ended by themselves."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def stop(self) -> dict[str, int]:
        """Stop every process with SIGTERM, after a while with SIGKILL; return the exit codes."""
        for process in self._processes.values():
            process.terminate()
        codes = {name: _ended(process) for name, process in self._processes.items()}
        self._processes = {}
        return codes

    def logs(self, names: Iterable[str]) -> str:
        """Return the end of the logs of these processes."""
        tails = []
        for name in names:
            lines = self._log(name).read_text(errors="replace").splitlines()[-12:]
            tails.append("\n".join([f"--- {name}", *lines]))
        return "\n".join(tails)

    def names(self) -> list[str]:
        """Return the names of the processes that were started and not stopped."""
        return list(self._processes)

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
