"""``manage.py kafka_relay``: send what the outbox holds to Kafka."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from ...conf import settings
from ...errors import KafkaIntegrationError
from ...garbage import collecting_rarely
from ...observe.watching import watched
from ...outbox.relay import Relay
from ...shutdown import stop_after, stopping_on_signals
from ..arguments import count, seconds
from ..metrics_argument import add_metrics_port
from ..progress import RelayProgress


class Command(BaseCommand):
    """Parse, build a :class:`Relay`, run it."""

    help = (
        "Send the events in the outbox to Kafka. Without an option it runs until SIGTERM or "
        "SIGINT, waits while Kafka or the database is away, and loses nothing. Several relays "
        "on one outbox share its shards: each takes its part, and when one comes, ends or dies the "
        "others make room or take over. Exit codes: 0 clean end, 1 error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--once",
            action="store_true",
            help="send at most one batch of our share, then end; an error if other relays hold "
            "every shard and give us none",
        )
        mode.add_argument(
            "--drain",
            action="store_true",
            help="send until nothing sendable is left in the whole outbox, then end. Other relays "
            "may help; an error if one holds shards and sends nothing of what waits in them",
        )
        parser.add_argument(
            "--timeout",
            type=seconds,
            metavar="SECONDS",
            help=(
                "end after this time; if --once or --drain has not finished by then, the exit "
                "code is 1"
            ),
        )
        parser.add_argument(
            "--batch-size",
            type=count,
            metavar="N",
            help=f"events sent and recorded at once (default: {settings.relay_batch_size})",
        )
        parser.add_argument(
            "--exactly-once",
            action="store_true",
            default=None,
            help=(
                "publish in Kafka transactions, so that readers of committed records see each "
                "event once; PostgreSQL and Kafka 4 only (default: KAFKA_RELAY_EXACTLY_ONCE)"
            ),
        )
        parser.add_argument(
            "--database",
            default="default",
            choices=sorted(connections),
            help="alias of the outbox's database",
        )
        add_metrics_port(parser)
        parser.add_argument(
            "--adopt-cluster",
            action="store_true",
            help="send to the Kafka cluster that answers although the outbox was sent to another "
            "one before, and remember it: for a Kafka that was made anew or has moved for good",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            finished = self._run(**options)
        except KafkaIntegrationError as error:
            raise CommandError(str(error)) from error
        if not finished and (options["drain"] or options["once"]):
            raise CommandError(
                f"Not finished within {options['timeout']:g} s; what is unsent stays in the outbox."
            )

    def _run(self, *, drain: bool, once: bool, timeout: float | None, **options: Any) -> bool:
        """Relay, and return whether that ended before the time was over."""
        relay = Relay(
            options["database"],
            batch_size=options["batch_size"],
            adopt_cluster=options["adopt_cluster"],
            exactly_once=options["exactly_once"],
        )
        seen = watched("relay", options["metrics_port"], options["database"])
        run = relay.drain if drain else relay.once if once else relay.run
        stopped = stop_after(timeout, relay.stop)
        signals = stopping_on_signals(relay.stop)
        with seen, RelayProgress(self.stdout), signals, stopped as expired, collecting_rarely():
            run()
        return not expired.is_set()
