"""From COMMIT to a consumer, one event at a time, through a relay that has nothing else to do.

``make bench-latency`` prints one JSON line. A plain consumer in this process notes when each record
is in its hands, by the clock that the moments around COMMIT are taken from. The peer: the same
record handed straight to Kafka, with no database and no relay.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

from django.core.management import call_command  # noqa: E402  # Django comes first
from django.db import connection  # noqa: E402  # likewise

from benchmarks.campaigns import Campaigns, Commit  # noqa: E402  # likewise
from benchmarks.filling import empty  # noqa: E402  # likewise
from benchmarks.listener import Listener  # noqa: E402  # likewise
from benchmarks.relays import RelayProcess, wait_for_shares  # noqa: E402  # likewise
from benchmarks.topics import make_topic  # noqa: E402  # likewise
from kafka_integration.broker.producer import EventProducer  # noqa: E402  # likewise

_INTERVAL = 0.05
_JITTER = 0.5  # of the interval, either way: nothing may keep step with the relay
_PATIENCE = 60.0
_QUIET = 7.0  # the relay looks less often once nothing came for five seconds


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Args:
        events: by way of the relay, and as many without.
        warm_up: further events before those.
        quiet_rounds: how often one event comes after a while without any.
        idle_seconds: how long the idle relay is watched.
    """

    events: int = 400
    warm_up: int = 50
    quiet_rounds: int = 5
    idle_seconds: float = 10.0


def measure_raw(campaigns: Campaigns, listener: Listener, plan: Plan) -> list[float]:
    """Return the seconds from handing a record to the producer until the consumer has it."""
    record = campaigns.record(campaigns.create())
    producer = EventProducer()

    def send() -> float:
        key, began = str(uuid.uuid4()), time.perf_counter()
        producer.send_and_wait(campaigns.topic, record.value, key, record.headers)
        return listener.arrival(key, _PATIENCE) - began

    times = _spread(send, plan)
    producer.close()
    return times


def measure_relay(
    campaigns: Campaigns, listener: Listener, plan: Plan
) -> list[tuple[float, float]]:
    """Return the seconds from just before COMMIT, and from its answer, to the consumer."""
    return _spread(lambda: _travel(listener, campaigns.create()), plan)


def measure_quiet(campaigns: Campaigns, listener: Listener, rounds: int) -> list[float]:
    """Return what an event takes from COMMIT if none came for a while."""
    times = []
    for _ in range(rounds):
        time.sleep(_QUIET + random.random())
        times.append(_travel(listener, campaigns.create())[0])
    return times


def measure_idle(seconds: float) -> float:
    """Return how many transactions a second the server counts while nothing happens.

    A look of the relay at the queue is one transaction of three statements.
    """
    time.sleep(_QUIET)
    before, began = _transactions(), time.perf_counter()
    time.sleep(seconds)
    return (_transactions() - before) / (time.perf_counter() - began)


def _spread(measure: Callable[[], Any], plan: Plan) -> list[Any]:
    """Measure again and again, with a pause that varies; leave the warm-up out."""
    times = []
    for _ in range(plan.warm_up + plan.events):
        times.append(measure())
        time.sleep(_INTERVAL * random.uniform(1 - _JITTER, 1 + _JITTER))
    return times[plan.warm_up :]


def _travel(listener: Listener, commit: Commit) -> tuple[float, float]:
    arrival = listener.arrival(commit.key, _PATIENCE)
    return arrival - commit.before, arrival - commit.after


def _transactions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit FROM pg_stat_database WHERE datname=current_database()")
        return int(cursor.fetchone()[0])


def run(plan: Plan) -> dict[str, Any]:
    """Measure once."""
    call_command("migrate", verbosity=0)
    empty()
    topic = make_topic()
    with Campaigns.publishing_to(topic) as campaigns, Listener(topic) as listener:
        raw = measure_raw(campaigns, listener, plan)
        with RelayProcess() as relay:
            wait_for_shares(relay)
            relayed = measure_relay(campaigns, listener, plan)
            quiet = measure_quiet(campaigns, listener, plan.quiet_rounds)
            idle = measure_idle(plan.idle_seconds)
    empty()
    before_commit, after_commit = (list(times) for times in zip(*relayed, strict=True))
    return {
        "benchmark": "latency",
        "events": len(relayed),
        **_percentiles("", before_commit),
        **_percentiles("after_commit_", after_commit),
        **_percentiles("raw_", raw),
        "quiet_p50_ms": _milliseconds(median(quiet)),
        "quiet_max_ms": _milliseconds(max(quiet)),
        "idle_transactions_per_s": round(idle, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def _percentiles(name: str, times: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(times, n=100, method="inclusive")
    return {
        f"{name}p50_ms": _milliseconds(cuts[49]),
        f"{name}p99_ms": _milliseconds(cuts[98]),
        f"{name}max_ms": _milliseconds(max(times)),
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000, 2)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=Plan.events)
    parser.add_argument("--warm-up", type=int, default=Plan.warm_up)
    parser.add_argument("--quiet-rounds", type=int, default=Plan.quiet_rounds)
    parser.add_argument("--idle-seconds", type=float, default=Plan.idle_seconds)
    print(json.dumps(run(Plan(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
