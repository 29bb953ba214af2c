"""How long a relay's shards stand still when it is killed, and when it is asked to end.

``make bench-takeover`` prints one JSON line. Two relays share one outbox while events flow; one of
them is ended. At once an event for each of its shards is committed; the round has taken as long as
the last of them needs from that end to a consumer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

from django.core.management import call_command  # noqa: E402  # Django comes first
from django.db import connections  # noqa: E402  # likewise

from benchmarks.campaigns import Campaigns  # noqa: E402  # likewise
from benchmarks.filling import empty  # noqa: E402  # likewise
from benchmarks.listener import Listener  # noqa: E402  # likewise
from benchmarks.relays import RelayProcess, wait_for_shares  # noqa: E402  # likewise
from benchmarks.topics import make_topic  # noqa: E402  # likewise
from kafka_integration.conf import settings  # noqa: E402  # likewise

_FLOW = 0.02
_PATIENCE = 60.0


@dataclass
class Stage:
    """Two relays, of which one is always replaced after it was ended.

    Args:
        campaigns: make the events.
        listener: waits for them.
        lease_seconds: of both relays.
    """

    campaigns: Campaigns
    listener: Listener
    lease_seconds: float

    def rounds(self, count: int, *, clean: bool) -> list[float]:
        """Return the seconds of ``count`` rounds."""
        with RelayProcess(self.lease_seconds) as stays:
            return [self._round(stays, clean) for _ in range(count)]

    def _round(self, stays: RelayProcess, clean: bool) -> float:
        with RelayProcess(self.lease_seconds) as leaves:
            wait_for_shares(stays, leaves)
            # A lease has more or less of its time left; nothing may keep step with its renewal.
            time.sleep(random.uniform(0, self.lease_seconds / 3))
            shards = leaves.shards()
            with self._flowing():
                return self._end(leaves, shards, clean)

    def _end(self, relay: RelayProcess, shards: list[int], clean: bool) -> float:
        began = time.perf_counter()
        (relay.terminate if clean else relay.kill)()
        commits = [self.campaigns.create(shard) for shard in shards]
        patience = self.lease_seconds + _PATIENCE
        return max(self.listener.arrival(commit.key, patience) for commit in commits) - began

    @contextmanager
    def _flowing(self) -> Iterator[None]:
        """Commit events of any shard on another thread."""
        ended = threading.Event()

        def write() -> None:
            while not ended.wait(_FLOW):
                self.campaigns.create()
            connections.close_all()

        thread = threading.Thread(target=write, name="flow")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def run(rounds: int, lease_seconds: float) -> dict[str, Any]:
    """Measure once.

    Args:
        rounds: of each kind.
        lease_seconds: of the relays.
    """
    call_command("migrate", verbosity=0)
    empty()
    topic = make_topic()
    with Campaigns.publishing_to(topic) as campaigns, Listener(topic) as listener:
        stage = Stage(campaigns, listener, lease_seconds)
        crash = stage.rounds(rounds, clean=False)
        clean = stage.rounds(rounds, clean=True)
    empty()
    return {
        "benchmark": "takeover",
        "rounds": rounds,
        "lease_s": lease_seconds,
        "crash_s": round(max(crash), 3),
        "crash_median_s": round(median(crash), 3),
        "clean_s": round(max(clean), 3),
        "clean_median_s": round(median(clean), 3),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lease", type=float, default=settings.relay_lease_seconds)
    options = parser.parse_args()
    print(json.dumps(run(options.rounds, options.lease)))


if __name__ == "__main__":
    main()
