"""The arguments of ``manage.py kafka_outbox``, and what they mean."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.management.base import CommandParser
from django.db import connections, models
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ..conf import settings
from ..outbox.reshard import MOST_SHARDS
from ..outbox.selection import Selection

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def moment(text: str) -> datetime:
    """Return the time that ``text`` means; without an offset it is in Django's time zone."""
    try:
        found = parse_datetime(text if "T" in text or " " in text else f"{text}T00:00")
    except ValueError:
        found = None
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no time; write it as in 2026-03-01T12:00")
    if timezone.is_naive(timezone.now()):
        return found if timezone.is_naive(found) else timezone.make_naive(found)
    return timezone.make_aware(found) if timezone.is_naive(found) else found


def span(text: str) -> timedelta:
    """Return the length of time that ``text`` means: 7d, 12h, 30m, 10s; a bare number is days."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([dhms]?)", text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no length of time; write it as in 7d, 12h or 30m")
    return timedelta(**{_UNITS[found[2] or "d"]: float(found[1])})


def model(label: str) -> type[models.Model]:
    """Return the model that ``label`` (app.Model) names."""
    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise ArgumentTypeError(f"{label!r} is no model; write it as app.Model: {error}") from error


def selection(options: Mapping[str, Any]) -> Selection:
    """Return the events that the options select."""
    topics = options.get("topic")  # a text for sub-commands that work on one topic
    return Selection(
        event_ids=tuple(options.get("event") or ()),
        keys=tuple(options.get("key") or ()),
        topics=() if isinstance(topics, str) else tuple(topics or ()),
        from_time=options.get("from_time"),
        to_time=options.get("to_time"),
        from_id=options.get("from_id"),
        to_id=options.get("to_id"),
    )


def add_subcommands(parser: CommandParser) -> None:
    """Give the command its sub-commands."""
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> CommandParser:
        found: CommandParser = commands.add_parser(name, help=text, description=text)
        found.add_argument(
            "--database",
            default="default",
            choices=sorted(connections),
            help="alias of the outbox's database",
        )
        found.add_argument("--json", action="store_true", help="print the result as JSON")
        return found

    looking, acting = (_stats, _audit), (_retry, _discard, _settle)
    keeping = _purge, _erase, _reshard
    for arguments in (*looking, *acting, _replay, _backfill, *keeping):
        arguments(add)


_Add = Callable[[str, str], CommandParser]


def _stats(add: _Add) -> None:
    parser = add(
        "stats",
        "Show what waits and how old it is, held keys, who holds the leases, and why events are "
        "stuck: down to the database session that holds them back (PostgreSQL).",
    )
    parser.add_argument(
        "--no-kafka", action="store_true", help="do not ask Kafka whether the topics exist"
    )


def _retry(add: _Add) -> None:
    parser = add(
        "retry",
        "Release held keys, so that the relay sends what waits behind them, in order. Exit code 1 "
        "if no key that is meant is held.",
    )
    _events(parser)
    parser.add_argument("--all-held", action="store_true", help="every held key")


def _discard(add: _Add) -> None:
    parser = add(
        "discard",
        "Take unsent events out of the queue for good; a key that is held for one of them is "
        "released. With --key or --topic: all unsent events of it. Asks first. Exit code 1 if "
        "nothing that is meant is unsent.",
    )
    _events(parser)
    parser.add_argument(
        "--all-held",
        action="store_true",
        help="only the event that each held key is held for; those behind it go on",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _replay(add: _Add) -> None:
    parser = add(
        "replay",
        "Send events again that are out already, in the order in which they were stored. They keep "
        "their ids, so that a group that has an event does nothing. Events that still wait are "
        "left alone; discarded ones are sent. Exit code 1 if nothing matches.",
    )
    _events(parser)
    _bounds(parser)
    parser.add_argument(
        "--as-new",
        action="store_true",
        help="store them as new events with ids of their own: every group handles them again",
    )
    parser.add_argument("--dry-run", action="store_true", help="only count")
    _batch(parser, 1_000)


def _backfill(add: _Add) -> None:
    parser = add(
        "backfill",
        "Publish a model's rows as if each had just been created, through the model's own "
        "publishes() for that topic. Each run makes new events. When it is stopped it says where "
        "to go on.",
    )
    parser.add_argument("model", type=model, metavar="app.Model", help="whose rows")
    parser.add_argument("--topic", required=True, metavar="T", help="where to publish them")
    parser.add_argument("--after-pk", metavar="PK", help="go on after this primary key")
    _batch(parser, 500)


def _purge(add: _Add) -> None:
    parser = add(
        "purge",
        "Delete events that have been out for long enough, with their deliveries, and the inbox "
        "records of messages handled long ago. Never an unsent event, nor a dead message.",
    )
    parser.add_argument(
        "--older-than",
        type=span,
        metavar="7d",
        help="for events: went out longer ago than this "
        f"(default: KAFKA_OUTBOX_RETENTION_DAYS, {settings.outbox_retention_days:g}d)",
    )
    parser.add_argument(
        "--inbox-older-than",
        type=span,
        metavar="35d",
        help="for inbox records; must be more than topics keep their messages "
        f"(default: KAFKA_INBOX_RETENTION_DAYS, {settings.inbox_retention_days:g}d)",
    )
    parser.add_argument("--only", choices=("outbox", "inbox"), help="purge only one of them")
    _batch(parser, 1_000)


def _erase(add: _Add) -> None:
    parser = add(
        "erase",
        "Blank the payloads of events that are out, in outbox and inbox, and with --key the keys "
        "too. The envelope stays. Refuses while an event of them is unsent. What Kafka holds goes "
        "with the topic's retention. Asks first. Exit code 1 if nothing matches.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    _event(which)
    _key(which)
    _topic(parser, "with --key: only in this topic")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _audit(add: _Add) -> None:
    parser = add(
        "audit",
        "Compare what the outbox has sent with what the topic holds, and name each difference: "
        "missing, moved, or under our ce_source and unknown. Only reads. Exit code 1 if there is "
        "one.",
    )
    parser.add_argument("--topic", required=True, metavar="T", help="which topic")


def _reshard(add: _Add) -> None:
    parser = add(
        "reshard",
        "Change into how many shards the outbox is divided, which is how many relays can share "
        "the work at most. Only with nothing queued, held events included: stop what writes and "
        "drain first. Relays may run on.",
    )
    parser.add_argument("shards", type=int, metavar="N", help=f"how many, 1 to {MOST_SHARDS:,}")


def _settle(add: _Add) -> None:
    parser = add(
        "settle",
        "Say what became of a shard's last batch, where an exactly-once relay could not tell and "
        "ended with an error: the progress topic is gone, say, or the database was put back. "
        "Refuses while a relay holds the shard. Asks first. Exit code 1 if the shard has no batch.",
    )
    parser.add_argument("--shard", type=int, required=True, metavar="N", help="which shard")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--sent", action="store_true", help="its events are in Kafka")
    which.add_argument(
        "--unsent", action="store_true", help="they are not: the next relay sends them again"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _events(parser: CommandParser) -> None:
    _event(parser)
    _key(parser)
    _topic(parser, "a topic; may be repeated")


def _event(parser: Any) -> None:
    parser.add_argument(
        "--event", nargs="+", action="extend", type=UUID, metavar="ID", help="event ids (ce_id)"
    )


def _key(parser: Any) -> None:
    parser.add_argument("--key", action="append", metavar="K", help="a whole key; may be repeated")


def _topic(parser: CommandParser, text: str) -> None:
    parser.add_argument("--topic", action="append", metavar="T", help=text)


def _bounds(parser: CommandParser) -> None:
    parser.add_argument("--from-time", type=moment, metavar="TIME", help="created then or later")
    parser.add_argument("--to-time", type=moment, metavar="TIME", help="created before")
    parser.add_argument("--from-id", type=int, metavar="N", help="number of the first event")
    parser.add_argument("--to-id", type=int, metavar="N", help="number of the last event")


def _batch(parser: CommandParser, size: int) -> None:
    parser.add_argument(
        "--batch-size",
        type=int,
        default=size,
        metavar="N",
        help=f"rows in one transaction (default: {size:,})",
    )
