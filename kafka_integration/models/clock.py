"""The database's clock, which all relays go by: those of the machines differ."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Now


def in_seconds(seconds: float) -> models.ExpressionWrapper[Any]:
    """Return the moment that is ``seconds`` from now."""
    return models.ExpressionWrapper(
        Now() + models.Value(timedelta(seconds=seconds)), output_field=models.DateTimeField()
    )
