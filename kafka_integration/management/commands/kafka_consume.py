"""``manage.py kafka_consume``: run one consumer group's handlers."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...errors import KafkaIntegrationError
from ...inbox.worker import Worker
from ...observe.watching import watched
from ...shutdown import stopping_on_signals
from ..arguments import count
from ..consumer_console import ConsumerConsole
from ..metrics_argument import add_metrics_port

_OPTIONS = ("workers", "drain", "max_messages", "from_beginning")


class Command(BaseCommand):
    """Parse, build a :class:`Worker`, run it."""

    help = (
        "Hand Kafka's messages to the handlers of one group, as the events.py modules declare "
        "them with @handles. Several run at a time, and messages of one key keep their order. "
        "Each effect in the database happens once. What cannot be handled goes to <topic>.dlq and "
        "into the admin, with its bytes and the reason. Runs until SIGTERM or SIGINT, then lets "
        "the handlers that run come to their end and commits; a second signal ends it at once, "
        "and nothing is lost. On a terminal, or with -v 2, it prints a line a message; otherwise "
        "what it did in the last five seconds. Exit codes: 0 clean end, 1 error, also where a "
        "handler was still at work KAFKA_CONSUME_DRAIN_SECONDS after the first signal."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--group", default="", metavar="G", help="whose handlers to run; required"
        )
        parser.add_argument(
            "--workers",
            type=count,
            metavar="N",
            help="handlers that run at a time (default: KAFKA_CONSUME_WORKERS, or else 4, and 1 "
            "where a handler writes to SQLite)",
        )
        parser.add_argument(
            "--drain", action="store_true", help="end when all that is there now is handled"
        )
        parser.add_argument("--max-messages", type=count, metavar="N", help="end after N messages")
        parser.add_argument(
            "--from-beginning",
            action="store_true",
            help="read the topics anew; what this group has handled is not handled again",
        )
        add_metrics_port(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            worker = Worker(options["group"], **{name: options[name] for name in _OPTIONS})
            each = self.stdout.isatty() or options["verbosity"] > 1
            console = ConsumerConsole(self.stdout, worker, each=each)
            seen = watched("consumer", options["metrics_port"])
            with seen, console, stopping_on_signals(worker.stop):
                worker.run()
        except KafkaIntegrationError as error:
            raise CommandError(str(error)) from error
