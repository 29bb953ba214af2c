"""The option with which a long-running command shows its metrics."""

from __future__ import annotations

from django.core.management.base import CommandParser


def add_metrics_port(parser: CommandParser) -> None:
    """Let a command take ``--metrics-port``."""
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="show /metrics, /livez and /readyz on this port of KAFKA_METRICS_ADDRESS (default: "
        "KAFKA_METRICS_PORT; 0 shows nothing)",
    )
