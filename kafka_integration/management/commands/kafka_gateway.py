"""``manage.py kafka_gateway``: tokens, the OpenAPI document, and old idempotency keys."""

from __future__ import annotations

import argparse
import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...errors import KafkaIntegrationError
from ..gateway_console import GatewayConsole


class Command(BaseCommand):
    """Parse the sub-command and hand it to the :class:`GatewayConsole`."""

    help = "The HTTP gateway: make a token, print its OpenAPI document, forget old requests."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
        token = commands.add_parser("token", help="Make a token; it is shown once only.")
        token.add_argument("name", type=_name, help="whose it is, as readers of events will see it")
        openapi = commands.add_parser("openapi", help="Print the OpenAPI 3.1 document.")
        openapi.add_argument("--base", default="/kafka", help="path of the gateway (/kafka)")
        purge = commands.add_parser("purge", help="Forget idempotency keys that are old.")
        purge.add_argument(
            "--days", type=_days, help="older than this (default: KAFKA_GATEWAY_RETENTION_DAYS)"
        )

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        try:
            getattr(GatewayConsole(self.stdout), subcommand)(options)
        except KafkaIntegrationError as error:
            raise CommandError(str(error)) from error


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", text):
        raise argparse.ArgumentTypeError("use 1 to 100 letters, digits, '.', '_' and '-'")
    return text


def _days(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not found >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days; write it as in 14 or 0.5")
    return found
