"""The arguments of ``manage.py kafka_dead_letters``, and what they mean."""

from __future__ import annotations

from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.db import connections
from django.utils import timezone

from ..inbox.rehearsal import SECONDS
from ..inbox.selection import LetterSelection
from ..models import InboxStatus
from .outbox_parser import moment, span

_LARGEST = 2**63 - 1

_LIST = """\
examples:
  kafka_dead_letters list
  kafka_dead_letters list --group previews --since 2h --error "does not exist"
  kafka_dead_letters list --status dead --status parked --json
"""
_SHOW = """\
example:
  kafka_dead_letters show 17
"""
_REDRIVE = """\
examples:
  kafka_dead_letters redrive 17 --dry-run         would it work now?
  kafka_dead_letters redrive 17                   the group's consumer handles it again
  kafka_dead_letters redrive --group previews --error DoesNotExist --dry-run
  kafka_dead_letters redrive --group previews --error DoesNotExist --yes
"""
_DISCARD = """\
examples:
  kafka_dead_letters discard 17 18
  kafka_dead_letters discard --topic asset.updated.json --until 30d --yes
"""


def number(text: str) -> int:
    """Return the number of a letter."""
    if not text.isdecimal() or int(text) > _LARGEST:
        raise ArgumentTypeError(f"{text!r} is no letter's number; 'list' shows them")
    return int(text)


def count(text: str) -> int:
    """Return a number above zero."""
    if not text.isdecimal() or not 0 < int(text) <= _LARGEST:
        raise ArgumentTypeError(f"{text!r} is no number above zero")
    return int(text)


def seconds(text: str) -> float:
    """Return a length of time in seconds, from a millisecond to a day."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.001 <= found <= 86_400:
        raise ArgumentTypeError(f"{text!r} is no number of seconds from 0.001 to 86400")
    return found


def moment_or_ago(text: str) -> datetime:
    """Return a time: ``2026-03-01T12:00``, or ``2h`` for two hours ago."""
    try:
        return timezone.now() - span(text)
    except (ArgumentTypeError, OverflowError):
        return moment(text)


def selection(options: Mapping[str, Any]) -> LetterSelection:
    """Return the letters that the options select."""

    def all_of(name: str) -> tuple[Any, ...]:
        return tuple(options.get(name) or ())

    return LetterSelection(
        numbers=all_of("numbers"),
        event_ids=all_of("event"),
        groups=all_of("group"),
        topics=all_of("topic"),
        handlers=all_of("handler"),
        keys=all_of("key"),
        error=options.get("error") or "",
        since=options.get("since"),
        until=options.get("until"),
    )


def add_subcommands(parser: CommandParser) -> None:
    """Give the command its sub-commands."""
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")

    def add(name: str, text: str, examples: str) -> CommandParser:
        found: CommandParser = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=examples,
            formatter_class=RawDescriptionHelpFormatter,
        )
        found.add_argument(
            "--database",
            default="default",
            choices=sorted(connections),
            help="alias of the inbox's database, which is that of the handlers' effects",
        )
        found.add_argument("--json", action="store_true", help="print the result as JSON")
        return found

    _list(add("list", "List dead letters, the newest first.", _LIST))
    _show(add("show", "Show one letter: bytes, headers, reason, and what to do next.", _SHOW))
    _redrive(
        add(
            "redrive",
            "Let the failing group handle dead letters again.\n"
            "Nobody else hears of it: nothing goes back to the topic. The event id stays, so that\n"
            "the effect happens once however often you ask. Asks first. Exit code 1 if nothing\n"
            "matches, or if a letter fails with --dry-run or --now.",
            _REDRIVE,
        )
    )
    _discard(
        add(
            "discard",
            "Give dead letters up: no handler of their groups will ever see them.\n"
            "Their bytes stay until a purge. Asks first. Exit code 1 if nothing matches.",
            _DISCARD,
        )
    )


def _list(parser: CommandParser) -> None:
    _filters(parser)
    parser.add_argument(
        "--status",
        action="append",
        choices=InboxStatus.values,
        help="dead (default), parked: waits for its consumer, discarded, done; may be repeated",
    )
    parser.add_argument(
        "--limit", type=count, default=50, metavar="N", help="no more than so many (default: 50)"
    )


def _show(parser: CommandParser) -> None:
    parser.add_argument("number", type=number, metavar="NUMBER", help="the letter's, from 'list'")


def _redrive(parser: CommandParser) -> None:
    _which(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--dry-run",
        action="store_true",
        help="run the handlers in a transaction that is rolled back and tell how it went: the "
        "letters stay as they are, and on_commit hooks do not run. What a handler does outside "
        "the databases (mails, requests) does happen",
    )
    how.add_argument(
        "--now",
        action="store_true",
        help="handle them here, without the group's consumer, each in its transaction; the "
        "consumer may meanwhile handle other messages of the same keys",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=SECONDS,
        metavar="SECONDS",
        help="with --dry-run, on PostgreSQL: give up a statement, or a transaction in which "
        f"nothing happens, after this long, so that locks do not last (default: {SECONDS:g})",
    )
    _acting(parser)


def _discard(parser: CommandParser) -> None:
    _which(parser)
    _acting(parser)


def _which(parser: CommandParser) -> None:
    parser.add_argument("numbers", nargs="*", type=number, metavar="NUMBER", help="letters")
    _filters(parser)
    parser.add_argument("--all", action="store_true", help="every dead letter")


def _acting(parser: CommandParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--batch-size",
        type=count,
        default=500,
        metavar="N",
        help="letters in one statement (default: 500)",
    )


def _filters(parser: CommandParser) -> None:
    def several(name: str, letter: str, text: str) -> None:
        parser.add_argument(name, action="append", metavar=letter, help=f"{text}; may be repeated")

    several("--event", "ID", "an event id (ce_id), in whatever groups")
    several("--group", "G", "a consumer group")
    several("--topic", "T", "a topic")
    several("--handler", "H", "a handler: its dotted path, or the end of it")
    several("--key", "K", "a whole key; 0x… for one that is no text")
    parser.add_argument("--error", metavar="TEXT", help="the last error contains it")
    parser.add_argument(
        "--since", type=moment_or_ago, metavar="TIME", help="since a time, or 2h, 7d: so long ago"
    )
    parser.add_argument("--until", type=moment_or_ago, metavar="TIME", help="before then")
