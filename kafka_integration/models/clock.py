"""The database's clock, which all relays go by: those of the machines differ."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connections, models
from django.db.models.functions import Now


def in_seconds(seconds: float) -> models.ExpressionWrapper[Any]:
    """Return the moment that is ``seconds`` from now."""
    return models.ExpressionWrapper(
        Now() + models.Value(timedelta(seconds=seconds)), output_field=models.DateTimeField()
    )


def end_when_idle(using: str, seconds: float) -> None:
    """Let PostgreSQL end the open transaction if we do nothing in it for so long.

    A process that is paused in the midst of one keeps its locks, and would keep others from
    taking over what it leads.

    Source: PostgreSQL's ``idle_in_transaction_session_timeout``, for this transaction only.
    """
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, true)",
                [f"{seconds * 1000:.0f}ms"],
            )
