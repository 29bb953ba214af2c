"""How a storm's topics and group are called; needs no Django."""

from __future__ import annotations

TABLES = ("card", "note", "word")
HANDLED = ("single", "batch")


def topics(run: str) -> dict[str, str]:
    """Return the topic of each table of the outbound storm.

    Args:
        run: lower case letters and digits that no other storm has.
    """
    return {table: f"storm.{table}_{run}.json" for table in TABLES}


def asked_topics(run: str) -> dict[str, str]:
    """Return the topics of the inbound storm, by how they are handled."""
    return {name: f"storm.{name}_{run}.json" for name in HANDLED}


def group(run: str) -> str:
    """Return the consumer group of a storm."""
    return f"storm-{run}"
