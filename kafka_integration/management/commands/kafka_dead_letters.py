"""``manage.py kafka_dead_letters``: messages that no handler could handle, and what to do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from ...database import is_outage
from ...errors import KafkaIntegrationError
from ..letters_console import LettersConsole
from ..letters_parser import add_subcommands


class Command(BaseCommand):
    """Parse the sub-command and hand it to the :class:`LettersConsole`."""

    help = (
        "Look into the messages that a consumer group gave up, and decide about them: list, show, "
        "redrive (with --dry-run first), discard. All of it is safe while consumers run, and may "
        "be stopped by Ctrl-C after any batch. It needs no Kafka. Exit codes: 0 done; 1 error, "
        "nothing matched, or a letter failed; 2 wrong usage; 130 stopped by a signal."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_subcommands(parser)

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        console = LettersConsole(self.stdout, self.stderr, options)
        try:
            problem = getattr(console, subcommand)()
        except KafkaIntegrationError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            if not is_outage(error):
                raise
            raise CommandError(f"The database is away; what was done stands: {error}") from error
        if problem:
            raise problem
