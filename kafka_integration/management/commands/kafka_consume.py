"""``manage.py kafka_consume``: run one consumer group's handlers."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...errors import KafkaIntegrationError
from ...inbox.worker import Worker
from ...shutdown import stopping_on_signals
from ..consumer_console import ConsumerConsole

_LIMITS = ("drain", "max_messages", "from_beginning")


class Command(BaseCommand):
    """Parse, build a :class:`Worker`, run it."""

    help = (
        "Hand Kafka's messages to the handlers of one group, as the events.py modules declare "
        "them with @handles. Each effect in the database happens once. What cannot be handled goes "
        "to <topic>.dlq and into the admin, with its bytes and the reason. Runs until SIGTERM or "
        "SIGINT, then finishes the message at hand; a second signal ends it at once, and nothing "
        "is lost. On a terminal, or with -v 2, it prints a line a message; otherwise what it "
        "did in the last five seconds. Exit codes: 0 clean end, 1 error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--group", default="", metavar="G", help="whose handlers to run; required"
        )
        parser.add_argument(
            "--drain", action="store_true", help="end when all that is there now is handled"
        )
        parser.add_argument("--max-messages", type=int, metavar="N", help="end after N messages")
        parser.add_argument(
            "--from-beginning",
            action="store_true",
            help="read the topics anew; what this group has handled is not handled again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            worker = Worker(options["group"], **{name: options[name] for name in _LIMITS})
            each = self.stdout.isatty() or options["verbosity"] > 1
            with ConsumerConsole(self.stdout, worker, each=each), stopping_on_signals(worker.stop):
                worker.run()
        except KafkaIntegrationError as error:
            raise CommandError(str(error)) from error
