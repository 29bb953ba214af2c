"""What publishing adds to ``save()`` and ``bulk_create()``: the same writes with and without it.

``make bench-capture`` prints one JSON line. Campaigns and assets are created and updated; the same
tables are written by twins of the models that publish nothing, turn by turn in the same process.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  # Django comes first
from django.core.management import call_command  # noqa: E402  # likewise
from django.db import connection, models, transaction  # noqa: E402  # likewise
from django.test.utils import CaptureQueriesContext  # noqa: E402  # likewise

from benchmarks.filling import empty  # noqa: E402  # likewise
from benchmarks.twins import twin  # noqa: E402  # likewise
from benchmarks.wal import Wal  # noqa: E402  # likewise
from kafka_integration.models import OutboxEvent  # noqa: E402  # likewise
from mediajira.assets.models import Asset  # noqa: E402  # likewise
from mediajira.campaigns.models import Campaign  # noqa: E402  # likewise

Make = Callable[[type[models.Model], int], models.Model]
Around = Callable[[], AbstractContextManager[object]]


@dataclass
class Figures:
    """What one kind of write took, with publishing and without: seconds and round trips."""

    seconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    queries: tuple[int, int] = (0, 0)

    def milliseconds(self) -> tuple[float, float]:
        """Return both medians."""
        published, plain = (median(times) * 1_000 for times in self.seconds)
        return published, plain


@dataclass(frozen=True)
class Subject:
    """A model that publishes, its twin that does not, and how an instance of either is made."""

    model: type[models.Model]
    plain: type[models.Model]
    make: Make

    def pair(self) -> tuple[type[models.Model], type[models.Model]]:
        """Return both classes, the publishing one first."""
        return self.model, self.plain


def subjects() -> list[Subject]:
    """Return what is written: campaigns, and assets of one of them."""
    owner, _ = get_user_model().objects.get_or_create(username=_OWNER)
    plain = twin(Campaign)
    campaign = plain(name="One for all", owner=owner)
    campaign.save()

    def make_campaign(model: type[models.Model], number: int) -> models.Model:
        text = "What this campaign wants to reach, in a sentence or two. " * 2
        budget = Decimal(number).quantize(Decimal("0.01"))
        return model(name=f"Campaign {number}", description=text, budget=budget, owner=owner)

    def make_asset(model: type[models.Model], number: int) -> models.Model:
        url = f"https://assets.example.org/campaigns/{campaign.pk}/{number}.png"
        return model(name=f"Asset {number}", url=url, owner=owner, campaign_id=campaign.pk)

    return [Subject(Campaign, plain, make_campaign), Subject(Asset, twin(Asset), make_asset)]


def measure_saves(subject: Subject, rounds: int, around: Around) -> dict[str, Figures]:
    """Create and update one row a round and class; ``around`` is what each save stands in."""
    found = {"create": Figures(), "update": Figures()}
    for number in range(rounds):
        for index, model in enumerate(subject.pair()):
            instance: Any = subject.make(model, number)
            found["create"].seconds[index].append(_timed(instance.save, around))
            instance.name = f"{instance.name}, revised"
            found["update"].seconds[index].append(_timed(instance.save, around))
    pairs = [_queries(subject.make(model, 0), around) for model in subject.pair()]
    for name, queries in zip(found, zip(*pairs, strict=True), strict=True):
        found[name].queries = queries
    return found


def measure_bulk(subject: Subject, rounds: int, rows: int) -> tuple[Figures, float]:
    """Return the figures of ``bulk_create`` of ``rows``, and the WAL bytes that an event adds."""
    figures = Figures()
    written: tuple[list[int], list[int]] = ([], [])
    for _ in range(rounds):
        for index, model in enumerate(subject.pair()):
            objects = [subject.make(model, number) for number in range(rows)]
            before = Wal.now()
            create = _bulk(model, objects)
            gc.collect()  # what the rounds before left is not this one's to clear away
            figures.seconds[index].append(_timed(create, nullcontext))
            written[index].append(Wal.now().bytes - before.bytes)
    counts = []
    for model in subject.pair():
        with CaptureQueriesContext(connection) as queries:
            _bulk(model, [subject.make(model, number) for number in range(rows)])()
        counts.append(len(queries))
    figures.queries = (counts[0], counts[1])
    published, plain = (median(sizes) for sizes in written)
    return figures, (published - plain) / rows


def _bulk(model: type[models.Model], objects: list[models.Model]) -> Callable[[], object]:
    return lambda: model._default_manager.bulk_create(objects)


def _timed(write: Callable[[], object], around: Around) -> float:
    started = time.perf_counter()
    with around():
        write()
    return time.perf_counter() - started


def _queries(instance: models.Model, around: Around) -> tuple[int, int]:
    """Return the round trips of a creation and of an update; BEGIN and COMMIT are among them."""
    counts = []
    for name in ("first", "second"):
        instance.name = name  # type: ignore[attr-defined]  # both subjects have it
        with CaptureQueriesContext(connection) as queries, around():
            instance.save()
        counts.append(len(queries))
    return counts[0], counts[1]


def run(rounds: int, bulk_rounds: int, rows: int) -> dict[str, Any]:
    """Measure once.

    Args:
        rounds: rows of each class that are saved, created and then updated, one by one.
        bulk_rounds: how often rows are created in bulk.
        rows: how many at once.
    """
    call_command("migrate", verbosity=0)
    empty()
    with _cleaned():
        return _figures(subjects(), rounds, bulk_rounds, rows)


def _figures(chosen: Sequence[Subject], rounds: int, bulk_rounds: int, rows: int) -> dict[str, Any]:
    gc.collect()
    saves: dict[str, list[dict[str, Figures]]] = {}
    for name, around in _WAYS.items():
        for subject in chosen:
            measure_saves(subject, max(rounds // 10, 1), around)  # to be warm
        saves[name] = [measure_saves(subject, rounds, around) for subject in chosen]
    with transaction.atomic():
        saves["save_only"] = [measure_saves(subject, rounds, nullcontext) for subject in chosen]
    bulk = [measure_bulk(subject, bulk_rounds, rows) for subject in chosen]
    assert OutboxEvent.objects.exists(), "nothing was captured"
    answer: dict[str, Any] = {"benchmark": "capture", "rounds": rounds, "bulk_rows": rows}
    for name, found in saves.items():
        answer |= _compared(name, [figures for kinds in found for figures in kinds.values()])
        for kind in ("create", "update"):
            answer |= _compared(f"{name}_{kind}", [kinds[kind] for kinds in found])
    answer |= _compared("bulk", [figures for figures, _ in bulk])
    answer["wal_bytes_per_event"] = round(median(size for _, size in bulk))
    return answer


def _compared(name: str, found: Sequence[Figures]) -> dict[str, Any]:
    """Return ratio, milliseconds and round trips of what some kinds of write take together."""
    published, plain = (
        sum(times) for times in zip(*(one.milliseconds() for one in found), strict=True)
    )
    queries = [
        sum(counts) / len(found) for counts in zip(*(one.queries for one in found), strict=True)
    ]
    return {
        f"{name}_ratio": round(published / plain, 2),
        f"{name}_ms": [round(time / len(found), 3) for time in (published, plain)],
        f"{name}_round_trips": queries,
    }


_OWNER = "benchmark-of-capture"
_WAYS: dict[str, Around] = {"save": transaction.atomic, "bare_save": nullcontext}


@contextmanager
def _cleaned() -> Iterator[None]:
    """Remove the rows afterwards, without a word to the outbox."""
    try:
        yield
    finally:
        for model in (Asset, Campaign):
            rows = model._default_manager.filter(owner__username=_OWNER)
            rows._raw_delete(connection.alias)
        empty()


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--bulk-rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=1_000)
    options = parser.parse_args()
    print(json.dumps(run(options.rounds, options.bulk_rounds, options.rows)))


if __name__ == "__main__":
    main()
