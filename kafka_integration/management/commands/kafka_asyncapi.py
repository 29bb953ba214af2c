"""``manage.py kafka_asyncapi``: what the project publishes and handles, as an AsyncAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...asyncapi.document import WRITERS, document
from ...errors import KafkaIntegrationError


class Command(BaseCommand):
    """Print the document, or write it into a file."""

    help = (
        "Describe every topic, message and handler of this project as an AsyncAPI 3 document, from "
        "the contracts themselves. It needs neither Kafka nor the database."
    )

    requires_system_checks = ()  # a document helps to see what they complain of

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--output", type=Path, metavar="FILE", help="write it there; by default it is printed"
        )
        parser.add_argument(
            "--format",
            choices=sorted(WRITERS),
            help="by default what FILE ends in (.json, .yaml, .yml), else json",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path | None = options["output"]
        write = WRITERS[options["format"] or _format_of(output)]
        try:
            text = write(document())
            if output is None:
                self.stdout.write(text, ending="")
                return
            output.write_text(text, encoding="utf-8")
        except (KafkaIntegrationError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Wrote {output}.")


def _format_of(output: Path | None) -> str:
    return "yaml" if output is not None and output.suffix in (".yaml", ".yml") else "json"
