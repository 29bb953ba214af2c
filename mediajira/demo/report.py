"""What the demonstration shows at its end, and whether it may call itself a success."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from kafka_integration.events.envelope import Message

from .audience import Seen
from .story import POISON, Expected


@dataclass(frozen=True)
class Report:
    """Everything that was seen, beside everything that was expected.

    Args:
        seen: the messages of the event topics that an outbox sent.
        dead: the messages of the dead-letter topics.
        expected: what the story said must arrive.
        poisoned: in how many groups the story's broken message must be dead.
        troubles: what else went wrong.
    """

    seen: Sequence[Seen]
    dead: Sequence[Message]
    expected: Sequence[Expected]
    poisoned: int
    troubles: Sequence[str] = ()

    def problems(self) -> list[str]:
        """Return everything that is not as it must be; nothing means success."""
        return [*self.troubles, *self._lost(), *self._unhandled(), *self._dead_letters()]

    def show(self, console: Console) -> None:
        """Print each event's journey and the summary."""
        console.print("[bold]Each event's journey:[/] model → topic → handler (group) → effect")
        for seen in self.seen:
            _show_journey(console, seen)
        for message in self.dead:
            console.print(f"[yellow]Dead letter[/] {escape(_dead(message))}")
        problems = self.problems()
        for problem in problems:
            console.print(f"[bold red]✗[/] {escape(problem)}")
        handled = sum(item.ok for seen in self.seen for item in seen.handled)
        arrived = len({seen.message.header("ce_id") for seen in self.seen})
        mark = "[bold red]✗[/]" if problems else "[bold green]✓[/]"
        console.print(
            f"{mark} {arrived} of {len(self.expected)} events arrived in Kafka, {handled} effects "
            f"of handlers are in the database, {len(self.dead)} dead letters of "
            f"{self.poisoned} expected (one for each group that reads the broken message)."
        )

    def _lost(self) -> list[str]:
        wanted = Counter((item.topic, item.subject) for item in self.expected)
        events = {seen.message.header("ce_id"): seen for seen in self.seen}
        found = Counter((seen.message.topic, seen.subject) for seen in events.values())
        lost = [f"{subject} never arrived on {topic}" for topic, subject in wanted - found]
        return lost + [f"nobody expected {subject} on {topic}" for topic, subject in found - wanted]

    def _unhandled(self) -> list[str]:
        return [
            f"{seen.message.place()} ({seen.subject}): {_what_is_missing(seen)}"
            for seen in self.seen
            if not seen.ok
        ]

    def _dead_letters(self) -> list[str]:
        poison = [message for message in self.dead if message.value == POISON]
        others = [message for message in self.dead if message.value != POISON]
        problems = [f"unexpected dead letter: {_dead(message)}" for message in others]
        if len(poison) != self.poisoned:
            problems.append(
                f"the broken message is in {len(poison)} dead letters and must be in "
                f"{self.poisoned}, one for each group"
            )
        return problems


def _show_journey(console: Console, seen: Seen) -> None:
    message = seen.message
    label, _, key = seen.subject.partition("/")
    console.print(
        f"[bold]{label}[/] {key[:8]} → [cyan]{message.topic}[/] "
        f"partition {message.partition} offset {message.offset}"
    )
    for item in seen.handled:
        mark = "[green]✓[/]" if item.ok else "[red]✗[/]"
        effect = item.effect or f"no effect: {item.status or 'not handled'}"
        console.print(f"    {mark} {_short(item.handler)} ({item.group}) → {escape(effect)}")


def _what_is_missing(seen: Seen) -> str:
    if not seen.recorded:
        return "the outbox does not say that it landed here"
    failed = [item for item in seen.handled if not item.ok]
    return ", ".join(
        f"group {item.group} has {'no effect' if item.status else 'not handled it'} "
        f"({item.status or 'no inbox record'})"
        for item in failed
    )


def _dead(message: Message) -> str:
    return (
        f"{message.topic}[{message.partition}]@{message.offset}, group "
        f"{message.header('dlq_group')}: {message.header('dlq_reason')}"
    )


def _short(handler: str) -> str:
    return ".".join(handler.split(".")[-3:]).replace(".events", "")
