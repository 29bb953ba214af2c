"""The private folder in which everything of the native services lies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
VARIABLE = "MEDIAJIRA_NATIVE_DIR"


@dataclass(frozen=True)
class Folder:
    """Paths inside the data folder."""

    root: Path

    @classmethod
    def default(cls) -> Folder:
        """``MEDIAJIRA_NATIVE_DIR`` if set, else ``.native`` in the repository."""
        return cls(Path(os.environ.get(VARIABLE) or REPO / ".native").resolve())

    @property
    def state(self) -> Path:
        """Where ports, process ids and passwords are kept."""
        return self.root / "state.json"

    def log(self, service: str) -> Path:
        """What a service printed; kept after ``down``, to be read."""
        return self.root / "logs" / f"{service}.log"

    def data(self, service: str) -> Path:
        """The data of one service, removed by ``down``."""
        return self.root / service

    def create(self) -> None:
        """Make the folder; for its owner alone, since it holds passwords."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.root / "logs").mkdir(exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time start or stop services of this folder."""
        self.create()
        with lock(self.root):
            yield


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold an advisory lock on an existing folder; needs no lock file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
