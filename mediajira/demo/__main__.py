"""Runs the main job on an embedded broker and a database of its own, and shows what became of it.

Exit code 0 only if every event arrived and every handler had its effect.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from pathlib import Path

from kafka_integration.broker.embedded import EmbeddedBroker

ROOT = Path(__file__).resolve().parents[2]


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m mediajira.demo", description=__doc__)
    parser.add_argument(
        "--without-relay", action="store_true", help="see what happens when no relay runs (fails)"
    )
    parser.add_argument(
        "--broken-handler", action="store_true", help="add a handler that always raises (fails)"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for an effect (default: %(default)g)",
    )
    return parser.parse_args()


def prepare(folder: Path, broker: str, options: argparse.Namespace) -> None:
    """Point this process and its children at the demonstration's own broker and database."""
    os.environ |= {
        "DATABASE_URL": f"sqlite:///{folder / 'demo.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "mediajira.demo.settings",
        "MEDIAJIRA_ENV_FILE": "",
        "SECRET_KEY": secrets.token_hex(32),
        "KAFKA_BROKER": broker,
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "KAFKA_HANDLER_ATTEMPTS": "2",
        "KAFKA_HANDLER_BACKOFF_SECONDS": "0.1",
        "LOG_LEVEL": "WARNING",
        "MEDIAJIRA_DEMO_BREAK": "yes" if options.broken_handler else "",
    }


def main() -> int:
    """Run the demonstration; return its exit code."""
    options = parse()
    with (
        tempfile.TemporaryDirectory(prefix="mediajira-demo-") as folder,
        EmbeddedBroker() as broker,
    ):
        prepare(Path(folder), broker.address, options)
        # Only now, because importing it reads the settings.
        from mediajira.demo.performance import perform

        return perform(Path(folder), ROOT, options)


if __name__ == "__main__":
    sys.exit(main())
