"""``manage.py kafka_topics``: the topic catalogue, checked, compared with Kafka and applied."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...errors import KafkaIntegrationError
from ..topic_console import TopicConsole


class Command(BaseCommand):
    """Parse the sub-command and hand it to the :class:`TopicConsole`."""

    help = (
        "Topics as code: compare the catalogue (the file that KAFKA_TOPICS_FILE names) with Kafka "
        "and bring Kafka in step. It may be run as often as you like and never deletes a topic."
    )

    requires_system_checks = ()  # they fail for what this command is there to cure

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")

        def add(name: str, text: str) -> CommandParser:
            return commands.add_parser(name, help=text, description=text)

        add("validate", "Check the catalogue itself; needs no Kafka.")
        plan = add("plan", "Show what 'apply' would do. Exit code 2 if it would do anything.")
        plan.add_argument("--json", action="store_true", help="print the plan as JSON")
        apply = add("apply", "Create topics and set settings. Exit code 1 if any is refused.")
        apply.add_argument(
            "--allow-more-partitions",
            action="store_true",
            help="also add partitions; keys move, so their order breaks at the change",
        )
        add("list", "Show every topic of the catalogue and whether Kafka has it so.")
        describe = add("describe", "Show all settings of topics, in the catalogue and in Kafka.")
        describe.add_argument("topics", nargs="*", metavar="TOPIC", help="all, if none is named")

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        console = TopicConsole(self.stdout, color=not options["no_color"])
        try:
            problem = getattr(console, subcommand)(options)
        except KafkaIntegrationError as error:
            raise CommandError(str(error)) from error
        if problem:
            raise problem
