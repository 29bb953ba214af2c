"""What was committed, by plain SQL from the storm's own tables."""

from __future__ import annotations

import psycopg

from .checker import Unit

# A grave is dug before its card is deleted: where the card still stands, the grave says nothing.
_CARDS = """
SELECT id, number FROM storm_card
UNION ALL
SELECT card, number FROM storm_grave
WHERE NOT EXISTS (SELECT FROM storm_card WHERE id = card)
"""
_NUMBERED = "SELECT key, count(*), min(number), max(number), count(DISTINCT number) FROM storm_{}"
_COUNT = """
SELECT (SELECT coalesce(sum(number), 0) FROM storm_card)
     + (SELECT count(*) FROM storm_note) + (SELECT count(*) FROM storm_word)
"""


class LedgerBroken(Exception):
    """Raised when the storm's own numbers have gaps: a mistake in the storm, and no verdict."""


def committed(database: str, topics: dict[str, str]) -> dict[Unit, int]:
    """Return the last number of each topic and key; all numbers from 1 on were committed.

    Args:
        database: its URL.
        topics: the topic of each table.

    Raises:
        LedgerBroken: a key's numbers are not 1, 2, 3 and so on.
    """
    with psycopg.connect(database) as connection:
        found = {(topics["card"], key): number for key, number in connection.execute(_CARDS)}
        for table in ("note", "word"):
            for key, *numbers in connection.execute(_NUMBERED.format(table) + " GROUP BY key"):
                _require_gapless(table, key, numbers)
                found[topics[table], key] = numbers[0]
    return found


def count(database: str) -> int:
    """Return about how many events are committed by now; deleted cards are left out."""
    with psycopg.connect(database, connect_timeout=10) as connection:
        [(number,)] = connection.execute(_COUNT).fetchall()
    return int(number)


def waiting(database: str) -> int:
    """Return how many events wait in the outbox's queue."""
    with psycopg.connect(database, connect_timeout=10) as connection:
        query = "SELECT count(*) FROM kafka_outbox_queue"
        [(number,)] = connection.execute(query).fetchall()
    return int(number)


def _require_gapless(table: str, key: str, numbers: list[int]) -> None:
    rows, lowest, highest, distinct = numbers
    if not (lowest == 1 and rows == highest == distinct):
        raise LedgerBroken(
            f"storm_{table} has {rows} rows of {key!r}, {distinct} numbers from {lowest} to "
            f"{highest}. The writers must number under a lock; mend tests/storm/acts.py."
        )
