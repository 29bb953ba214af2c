"""What ``manage.py kafka_gateway`` does and prints."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from typing import Any, Protocol

from ..conf import settings
from ..gateway import openapi
from ..gateway.purge import purge
from ..gateway.sender import digest


class Output(Protocol):
    """Where lines go."""

    def write(self, line: str) -> Any:
        """Print one line."""


class GatewayConsole:
    """Runs one sub-command.

    Args:
        output: where lines go.
    """

    def __init__(self, output: Output) -> None:
        self.output = output

    def token(self, options: dict[str, Any]) -> None:
        """Make a token and print it with what the setting needs to know of it."""
        token = secrets.token_urlsafe(32)
        self.output.write(f"Token, for its holder only: {token}")
        self.output.write("Add to KAFKA_GATEWAY_TOKENS (separated by commas):")
        self.output.write(f"{options['name']}={digest(token)}")

    def openapi(self, options: dict[str, Any]) -> None:
        """Print the OpenAPI document."""
        self.output.write(json.dumps(openapi.document(options["base"]), indent=2))

    def purge(self, options: dict[str, Any]) -> None:
        """Forget old idempotency keys."""
        days = settings.gateway_retention_days if options["days"] is None else options["days"]
        self.output.write(f"Forgot {purge(timedelta(days=days))} idempotency keys.")
