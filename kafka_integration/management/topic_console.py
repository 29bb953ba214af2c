"""What ``manage.py kafka_topics`` does and prints: colour on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, cast

from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console
from rich.table import Table

from ..broker.admin import Outcome, TopicAdmin
from ..broker.plan import Action, ExistingTopic, Kind, plan, readable, unmanaged
from ..conf import settings
from ..errors import ConfigurationError
from ..events.catalogue import Catalogue, catalogue
from ..events.topics import Topic

_MARKS = {
    Kind.CREATE: ("+", "green"),
    Kind.ADD_PARTITIONS: ("~", "yellow"),
    Kind.SET_CONFIG: ("~", "yellow"),
    Kind.FEWER_PARTITIONS: ("!", "red"),
    Kind.OTHER_REPLICATION: ("!", "red"),
}
_DAY_MS = 86_400_000
# Lines that are not cut where nobody looks at them: a file, a pipe.
_UNBOUNDED = 1_000


class Drift(CommandError):
    """Raised when Kafka is not as the catalogue says; Django prints the class's name before it."""


class TopicConsole:
    """Runs the sub-commands, each of which returns the error to end with, or None."""

    def __init__(self, stdout: OutputWrapper, *, color: bool = True) -> None:
        width = None if stdout.isatty() else _UNBOUNDED
        self._console = Console(
            file=cast("IO[str]", stdout),
            width=width,
            highlight=False,
            markup=False,
            emoji=False,
            no_color=not color or None,
        )

    def validate(self, options: Mapping[str, Any]) -> CommandError | None:
        """Say what the catalogue holds; reading it checked it."""
        found = _catalogue()
        self._say(
            f"{found.path} is valid for {found.environment}: "
            f"{_count(len(found.event_topics()), 'event topic')} and "
            f"{_count(len(found.dead_letters()), 'dead-letter topic')}.",
            "green",
        )
        return None

    def plan(self, options: Mapping[str, Any]) -> CommandError | None:
        """Show what differs."""
        found, existing = _both()
        actions = plan(found, existing)
        others = unmanaged(found, existing)
        if options["json"]:
            self._print_json(found, actions, others)
        else:
            self._print_plan(actions, others)
        if not actions:
            return None
        return Drift(
            f"Kafka at {settings.broker} is not as {found.path} says for {found.environment}: "
            f"{_count(len(actions), 'difference')}. Run 'manage.py kafka_topics apply'.",
            returncode=2,
        )

    def apply(self, options: Mapping[str, Any]) -> CommandError | None:
        """Carry out the plan."""
        found, admin = _catalogue(), TopicAdmin()
        actions = plan(found, admin.existing(found))
        if not actions:
            self._say(f"Nothing to do: {_count(len(found), 'topic')} in step.", "green")
        more = options["allow_more_partitions"]
        failed = 0
        for outcome in admin.apply(actions, allow_more_partitions=more):
            self._print_outcome(outcome)
            failed += not outcome.done
        if actions:
            self._say(f"Made {len(actions) - failed} of {_count(len(actions), 'change')}.")
        if not failed:
            return None
        return CommandError(
            f"{failed} of {_count(len(actions), 'change')} not made; the reasons stand above."
        )

    def list(self, options: Mapping[str, Any]) -> CommandError | None:
        """Show the catalogue as a table beside Kafka's state."""
        found, existing = _both()
        table = self._table("topic", "partitions", "replicas", "retention", "Kafka")
        for topic in found:
            state, style = _state([a for a in plan(found, existing) if a.topic == topic])
            numbers = str(topic.partitions), str(topic.replication_factor)
            table.add_row(topic.name, *numbers, _retention(topic), state, style=style)
        self._console.print(table)
        self._print_unmanaged(unmanaged(found, existing))
        return None

    def describe(self, options: Mapping[str, Any]) -> CommandError | None:
        """Show topics' settings, wanted and found."""
        found = _catalogue()
        topics = [found.check(name) for name in options["topics"]] or list(found)
        existing = TopicAdmin().existing(found)
        for topic in topics:
            self._print_topic(topic, existing.get(topic.name))
        return None

    def _print_plan(self, actions: Iterable[Action], others: Iterable[str]) -> None:
        for action in actions:
            mark, style = _MARKS[action.kind]
            self._say(f"{mark} {action}: {', '.join(map(str, action.changes))}", style)
            refusal = action.refusal(allow_more_partitions=False)
            if refusal:
                self._say(f"    will be refused: {refusal}", style)
        if not actions:
            self._say("Nothing to do: Kafka is as the catalogue says.", "green")
        self._print_unmanaged(others)

    def _print_unmanaged(self, names: Iterable[str]) -> None:
        if names:
            self._say(f"In Kafka but not in the catalogue, left alone: {', '.join(names)}", "dim")

    def _print_json(
        self, found: Catalogue, actions: Iterable[Action], others: Iterable[str]
    ) -> None:
        document = {
            "catalogue": found.path,
            "environment": found.environment,
            "in_step": not actions,
            "actions": [action.as_json() for action in actions],
            "unmanaged": others,
        }
        self._say(json.dumps(document, indent=2))

    def _print_outcome(self, outcome: Outcome) -> None:
        changes = ", ".join(map(str, outcome.action.changes))
        if outcome.done:
            self._say(f"done: {outcome.action} ({changes})", "green")
        else:
            self._say(f"not done: {outcome.action} ({changes}). {outcome.problem}", "red")

    def _print_topic(self, topic: Topic, found: ExistingTopic | None) -> None:
        self._say(topic.name, "bold")
        self._say(f"  {topic.description}")
        table = self._table("  setting", "catalogue", "Kafka")
        wanted, there = _values(topic), _values(found) if found else {}
        for name in dict.fromkeys((*wanted, *there)):
            style = "yellow" if name in wanted and wanted[name] != there.get(name) else None
            shown = [readable(name, values.get(name, "-")) for values in (wanted, there)]
            table.add_row(f"  {name}", *shown, style=style)
        self._console.print(table)
        self._say("" if found else "  Kafka does not have it: 'manage.py kafka_topics apply'.\n")

    def _table(self, *columns: str) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, no_wrap=column == "topic")
        return table

    def _say(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, soft_wrap=True)


def _catalogue() -> Catalogue:
    found = catalogue()
    if found is None:
        raise ConfigurationError(
            "KAFKA_TOPICS_FILE is not set, so there is no catalogue. Set it to the path of a "
            "YAML file of topics."
        )
    return found


def _both() -> tuple[Catalogue, dict[str, ExistingTopic]]:
    found = _catalogue()
    return found, TopicAdmin().existing(found)


def _values(topic: Topic | ExistingTopic) -> dict[str, str]:
    counts = {
        "partitions": str(topic.partitions),
        "replication factor": str(topic.replication_factor),
    }
    return counts | dict(topic.config)


def _state(actions: Iterable[Action]) -> tuple[str, str | None]:
    """Return how a topic stands, and the colour of its line."""
    changes = [str(change) for action in actions for change in action.changes]
    if not changes:
        return "in step", None
    if any(action.kind is Kind.CREATE for action in actions):
        return "missing", "red"
    return ", ".join(changes), "yellow"


def _retention(topic: Topic) -> str:
    milliseconds = int(topic.config.get("retention.ms", "-1"))
    return "for ever" if milliseconds < 0 else f"{milliseconds / _DAY_MS:g} d"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
