"""How a storm's topics are called; needs no Django."""

from __future__ import annotations

TABLES = ("card", "note", "word")


def topics(run: str) -> dict[str, str]:
    """Return the topic of each table.

    Args:
        run: lower case letters and digits that no other storm has.
    """
    return {table: f"storm.{table}_{run}.json" for table in TABLES}
