"""A message of a topic in the storm's own terms."""

from __future__ import annotations

import json
from typing import Any

from .checker import Record


def record(message: Any) -> Record:
    """Return what the checker needs of a message."""
    headers = {name: value.decode() for name, value in message.headers()}
    data = json.loads(message.value())
    key = message.key().decode()
    return Record(
        *(message.topic(), message.partition(), message.offset(), key),
        number=data["number"] if data["key"] == key else -1,
        id=headers["ce_id"],
        sequence=headers["ce_sequence"],
        doomed=data["doomed"],
    )
