"""The demonstration itself: set the stage, tell the story, read back, report."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import django
from rich.console import Console

django.setup()

from django.core.management import call_command  # noqa: E402  # needs Django's settings

from kafka_integration.broker.admin import TopicAdmin  # noqa: E402  # likewise
from kafka_integration.events.registry import Handler, registry  # noqa: E402  # likewise
from kafka_integration.events.topics import dead_letter_topic  # noqa: E402  # likewise

from . import audience  # noqa: E402  # likewise
from .report import Report  # noqa: E402  # likewise
from .stage import Stage  # noqa: E402  # likewise
from .story import Story, StuckError  # noqa: E402  # likewise

_POISONED_TOPIC = "asset.updated.json"


def perform(folder: Path, root: Path, options: argparse.Namespace) -> int:
    """Run everything once.

    Args:
        folder: for the database and the logs.
        root: the folder of ``manage.py``.
        options: of the command line.

    Returns:
        0 if everything arrived and had its effect, else 1.
    """
    console = Console(highlight=False, soft_wrap=True)
    call_command("migrate", verbosity=0)
    _make_topics()
    story = Story(options.patience, console.print)
    with Stage(folder, root) as stage:
        _start(stage, relay=not options.without_relay)
        console.print(f"[bold]Running:[/] {', '.join(stage.names())}\n[bold]The story:[/]")
        troubles = _tell(story)
        if not troubles:
            _await_quiet(story, options.patience)
        troubles += [f"{name} ended by itself" for name in stage.dead()]
        names = stage.names()
        codes = stage.stop()
        troubles += [f"{name} ended with exit code {code}" for name, code in codes.items() if code]
        report = _report(story, troubles)
        report.show(console)
        if not report.problems():
            return 0
        console.print(stage.logs(names), markup=False)
    return 1


def _make_topics() -> None:
    # The embedded broker makes a topic when it is asked for.
    TopicAdmin().missing(_with_dead_letters(registry.topics()))


def _start(stage: Stage, *, relay: bool) -> None:
    if relay:
        stage.start("relay", "kafka_relay")
    for group in registry.groups():
        stage.start(f"consumer {group}", "kafka_consume", "--group", group)


def _tell(story: Story) -> list[str]:
    try:
        story.tell()
    except StuckError as error:
        return [str(error)]
    return []


def _await_quiet(story: Story, patience: float) -> None:
    """Wait until everything expected is there, or patience ends; the report says which."""
    handled = sum(len(_handlers(expected.topic)) for expected in story.expected)
    dead = len(_handlers(_POISONED_TOPIC))
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and audience.handled() < handled + dead:
        time.sleep(0.1)


def _report(story: Story, troubles: list[str]) -> Report:
    topics = registry.topics()
    messages = audience.read(_with_dead_letters(topics))
    dead = [message for message in messages if message.topic not in topics]
    seen = [
        audience.examine(message)
        for message in messages
        if message.topic in topics and message.header("ce_id")
    ]
    return Report(seen, dead, story.expected, len(_handlers(_POISONED_TOPIC)), troubles)


def _handlers(topic: str) -> list[Handler]:
    return [handler for handler in registry.handlers if handler.topic == topic]


def _with_dead_letters(topics: set[str]) -> set[str]:
    return topics | {dead_letter_topic(topic) for topic in topics}
