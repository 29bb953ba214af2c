"""Relays as operators run them: ``manage.py kafka_relay`` in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from kafka_integration.models import OutboxLease, OutboxSetup

_ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 120.0


class RelayProcess:
    """One relay; only its warnings are shown. A ``with`` block ends it cleanly.

    Args:
        lease_seconds: how long its leases last; by default what the settings say.
    """

    def __init__(self, lease_seconds: float | None = None) -> None:
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "benchmarks.settings"}
        if lease_seconds is not None:
            environment["KAFKA_RELAY_LEASE_SECONDS"] = str(lease_seconds)
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "kafka_relay"],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> RelayProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.terminate()
        try:
            self._process.wait(_PATIENCE)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()

    def terminate(self) -> None:
        """Ask it to end, as a deployment does."""
        self._process.terminate()

    def shards(self) -> list[int]:
        """Return the shards that it holds now."""
        name = f"{socket.gethostname()}:{self._process.pid}:"
        leases = OutboxLease.objects.taken().filter(owner__startswith=name)
        return list(leases.order_by("shard").values_list("shard", flat=True))


def wait_for_shares(*relays: RelayProcess) -> None:
    """Wait until these relays hold all shards between them, each its fair share.

    Raises:
        TimeoutError: they do not.
    """
    every = OutboxSetup.objects.shards()
    deadline = time.monotonic() + _PATIENCE
    while True:
        held = [len(relay.shards()) for relay in relays]
        if sum(held) == every and max(held) - min(held) <= 1:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"The relays hold {held} of {every} shards after {_PATIENCE:g} s. End other relays "
                "on this outbox, and see the warnings of these above."
            )
        time.sleep(0.1)
