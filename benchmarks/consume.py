"""How fast a group's handlers run, beside the same handlers without Kafka, inbox and worker.

``make bench-consume`` prints one JSON line. The handler does one ORM UPDATE. The limit: the same
handler called in a loop inside one transaction. The usual way: a transaction an event, one after
the other. Slow handlers: 50 ms each, 100 keys on one partition, sixteen at a time beside serial.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import uuid
from collections.abc import Callable
from statistics import median
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

from confluent_kafka import Producer  # noqa: E402  # Django comes first
from django.contrib.auth.models import User  # noqa: E402  # likewise
from django.core.management import call_command  # noqa: E402  # likewise
from django.db import connection, transaction  # noqa: E402  # likewise

from benchmarks.topics import make_topic  # noqa: E402  # likewise
from kafka_integration import Event, EventData  # noqa: E402  # likewise
from kafka_integration.events.envelope import Message  # noqa: E402  # likewise
from kafka_integration.events.registry import Handler, registry  # noqa: E402  # likewise
from kafka_integration.inbox.worker import Worker  # noqa: E402  # likewise
from kafka_integration.models import InboxRecord  # noqa: E402  # likewise
from kafka_integration.signals import message_handled  # noqa: E402  # likewise

ROWS = 1_000
SLOW_KEYS, SLOW_WORKERS, SLOW_SECONDS = 100, 16, 0.05


class Renamed(EventData):
    """Someone has another name."""

    person: int
    name: str


def rename(event: Event[Renamed]) -> None:
    """One ORM UPDATE, of a table whose changes nobody publishes."""
    User.objects.filter(pk=event.data.person).update(first_name=event.data.name)


def be_slow(event: Event[Renamed]) -> None:
    """Wait, as for another service."""
    time.sleep(SLOW_SECONDS)


class Clock:
    """Stops the time from the first handler's beginning to the last message's end."""

    def __init__(self, function: Callable[[Event[Renamed]], None]) -> None:
        self.function = function
        self.began = 0.0
        self.ended = 0.0

    def __call__(self, event: Event[Renamed]) -> None:
        """Handle an event."""
        if not self.began:
            self.began = time.perf_counter()
        self.function(event)

    def handled(self, **_: Any) -> None:
        """Take it that a message is finished."""
        self.ended = time.perf_counter()


def people() -> list[int]:
    """Make the rows that are updated; return their keys."""
    User.objects.all().delete()
    made = [User(username=f"person-{number}") for number in range(ROWS)]
    return [user.pk for user in User.objects.bulk_create(made)]


def fill(topic: str, count: int, keys: list[int], partition: int | None = None) -> None:
    """Write events, each with an id of its own, as any publisher would."""
    producer = Producer({"bootstrap.servers": os.environ["KAFKA_BROKER"], "linger.ms": 50})
    where = {} if partition is None else {"partition": partition}
    for number in range(count):
        person = keys[number % len(keys)]
        value = json.dumps({"person": person, "name": f"name {number}"})
        headers = {"ce_id": str(uuid.uuid4()), "ce_source": "/benchmark", "ce_type": "Renamed"}
        producer.produce(topic, value, str(person), headers=headers, **where)  # type: ignore[arg-type]  # its stubs know no plain dict here
        producer.poll(0)
    producer.flush(60)


def measure_alone(count: int, keys: list[int]) -> float:
    """Return events a second of the handlers alone, called in one transaction."""
    events = [_event(number, keys[number % len(keys)]) for number in range(count)]
    began = time.perf_counter()
    with transaction.atomic():
        for event in events:
            rename(event)
    return count / (time.perf_counter() - began)


def measure_worker(
    topic: str, count: int, function: Callable[[Event[Renamed]], None], workers: int, **more: Any
) -> float:
    """Return events a second of a worker that reads the whole topic in a new group."""
    clock = Clock(function)
    group = f"benchmark-{uuid.uuid4().hex[:8]}"
    _empty_inbox()
    with registry.isolated() as empty:
        empty.add_handler(Handler(topic, Renamed, group, clock, **more))
        worker = Worker(group, workers=workers, drain=True)
        message_handled.connect(clock.handled)
        try:
            worker.run()
        finally:
            message_handled.disconnect(clock.handled)
    if worker.outcomes.total() != count:
        raise RuntimeError(f"{worker.outcomes} of {count} messages; is the topic ours alone?")
    return count / (clock.ended - clock.began)


def run(count: int, slow: int, rounds: int, workers: int) -> dict[str, Any]:
    """Measure all, in turns, so that a slow minute of the machine slows all of them."""
    call_command("migrate", verbosity=0)
    keys = people()
    topic, slow_topic = make_topic(dead_letters=True), make_topic(dead_letters=True)
    fill(topic, count, keys)
    fill(slow_topic, slow, keys[:SLOW_KEYS], partition=0)
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        turn = {
            "alone": measure_alone(count, keys),
            "batched": measure_worker(topic, count, rename, workers, transactional=True),
            "each": measure_worker(topic, count, rename, workers),
            "one_by_one": measure_worker(topic, count, rename, 1),
        }
        for name, rate in turn.items():
            figures.setdefault(name, []).append(rate)
    serial = measure_worker(slow_topic, slow, be_slow, 1)
    side_by_side = measure_worker(slow_topic, slow, be_slow, SLOW_WORKERS)
    _empty_inbox()
    return _told(count, workers, figures) | {
        "slow_events": slow,
        "slow_serial_events_per_s": round(serial, 1),
        "slow_parallel_events_per_s": round(side_by_side, 1),
        "slow_ratio_to_serial": round(side_by_side / serial, 2),
        "load": round(os.getloadavg()[0], 1),
    }


def _told(count: int, workers: int, figures: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "benchmark": "consume",
        "events": count,
        "workers": workers,
        "batched_events_per_s": round(median(figures["batched"])),
        "handlers_alone_events_per_s": round(median(figures["alone"])),
        "one_by_one_events_per_s": round(median(figures["one_by_one"])),
        "each_its_transaction_events_per_s": round(median(figures["each"])),
        "ratio_to_handlers_alone": _ratio(figures["batched"], figures["alone"]),
        "ratio_to_one_by_one": _ratio(figures["batched"], figures["one_by_one"]),
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return round(median(one / other for one, other in zip(ours, theirs, strict=True)), 2)


def _event(number: int, person: int) -> Event[Renamed]:
    message = Message("benchmark", 0, number, None, None)
    data = Renamed(person=person, name=f"name {number}")
    return Event(data, str(number), "/benchmark", "Renamed", 1, None, None, message)


def _empty_inbox() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {InboxRecord._meta.db_table}")
        cursor.execute(f"VACUUM {User._meta.db_table}")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=5_000, help="messages of each measurement")
    parser.add_argument("--slow", type=int, default=400, help="messages for slow handlers")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many is told")
    parser.add_argument("--workers", type=int, default=4, help="handlers at a time")
    options = parser.parse_args()
    print(json.dumps(run(options.events, options.slow, options.rounds, options.workers)))


if __name__ == "__main__":
    main()
