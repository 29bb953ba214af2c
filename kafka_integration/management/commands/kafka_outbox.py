"""``manage.py kafka_outbox``: what waits, why, and what can be done about it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...errors import KafkaIntegrationError
from ..outbox_console import OutboxConsole
from ..outbox_parser import add_subcommands


class Command(BaseCommand):
    """Parse the sub-command and hand it to the :class:`OutboxConsole`."""

    help = (
        "Look into the outbox and act on it: what waits and why (stats), release or give up what "
        "is held (retry, discard), send again (replay, backfill), delete and erase (purge, "
        "erase), compare with Kafka (audit), divide it for more relays (reshard), decide about a "
        "batch in doubt (settle). All of it is safe while relays and consumers run, and may be "
        "stopped by Ctrl-C after any batch. Exit codes: 0 done; 1 error, nothing matched, or an "
        "audit found differences; 2 wrong usage; 130 stopped by a signal."
    )

    missing_args_message = (
        "Name what to do: stats, audit, retry, discard, settle, replay, backfill, purge, erase or "
        "reshard. 'manage.py kafka_outbox --help' explains them, and 'manage.py kafka_outbox stats "
        "--help' the options of one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_subcommands(parser)

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        console = OutboxConsole(self.stdout, self.stderr, options)
        try:
            problem = getattr(console, subcommand)()
        except KafkaIntegrationError as error:
            raise CommandError(str(error)) from error
        if problem:
            raise problem
