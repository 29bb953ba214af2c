"""What PostgreSQL was asked to do, from its own log, and what of it would outlive a transaction.

Source: PostgreSQL's documentation of ``log_statement``; PgBouncer's table of what transaction
pooling cannot do.
"""

from __future__ import annotations

import re
from pathlib import Path

# A statement with its own line of the log, then those that it goes on in.
_LINE = re.compile(r"^(\S+)\|LOG:  (statement|execute [^:]+): (.*(?:\n\t.*)*)", re.MULTILINE)

_BY_TEXT = {
    "a prepared statement": r"^\s*(PREPARE|DEALLOCATE)\b(?!\s+TRANSACTION)",
    "a server-side cursor": r"^\s*DECLARE\b",
    "LISTEN": r"^\s*(UN)?LISTEN\b",
    "a setting of the session": (
        r"^\s*(RESET|DISCARD)\b|^\s*SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)"
        r"|\bset_config\s*\([^)]*,\s*false\s*\)"
    ),
    "a session's advisory lock": r"\bpg_(try_)?advisory_(un)?lock",
    "a temporary table": r"^\s*CREATE\s+((LOCAL|GLOBAL)\s+)?TEMP",
}


def sent_to(log: Path, database: str) -> list[tuple[str, str]]:
    """Return how each statement came (``statement``, or ``execute NAME``), and its text."""
    found = _LINE.findall(log.read_text())
    return [(how, text) for name, how, text in found if name == database]


def outliving(statements: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the statements that leave something in their session, by what they leave."""
    found: dict[str, list[str]] = {}
    for how, text in statements:
        for kind in _kinds(how, text):
            found.setdefault(kind, []).append(text)
    return found


def _kinds(how: str, text: str) -> set[str]:
    kinds = {kind for kind, sign in _BY_TEXT.items() if re.search(sign, text, re.IGNORECASE)}
    if how not in ("statement", "execute <unnamed>"):
        kinds.add("a prepared statement")
    return kinds
