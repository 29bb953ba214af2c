"""What is known of each service, in one JSON file."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import process


@dataclass
class Record:
    """One service: where it listens, which process it is, where its data lies."""

    name: str
    ports: list[int] = field(default_factory=list)
    pid: int = 0
    # The start time tells our process from a stranger that was given its id later.
    started: str = ""
    folder: str = ""
    # What only our instance knows: PostgreSQL's password, Kafka's cluster id.
    token: str = ""
    # Set once the data folder is whole; a half-made one is made anew.
    prepared: bool = False

    @property
    def port(self) -> int:
        """The port that clients use."""
        return self.ports[0]

    @property
    def alive(self) -> bool:
        """Whether the recorded process, and no other, runs."""
        return process.alive(self.pid, self.started)


class State:
    """The records, saved at each change so that a killed run leaves a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self.records: dict[str, Record] = {}
        if path.exists():
            saved = json.loads(path.read_text())
            self.records = {name: Record(**values) for name, values in saved.items()}

    def get(self, name: str) -> Record:
        """The record of a service, an empty one if it was never started."""
        return self.records.get(name) or Record(name)

    def put(self, record: Record) -> None:
        """Keep a record."""
        with self._mutex:
            self.records[record.name] = record
            self._save()

    def clear(self) -> None:
        """Forget all."""
        self.records.clear()
        self.path.unlink(missing_ok=True)

    def _save(self) -> None:
        """Replace the file in one step; readers never see half of it."""
        text = json.dumps({name: asdict(one) for name, one in self.records.items()}, indent=2)
        draft = self.path.with_suffix(".tmp")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text + "\n")
        draft.replace(self.path)
