"""How much PostgreSQL writes to its log."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True)
class Wal:
    """How far PostgreSQL's log has come: bytes, and full-page images among them."""

    bytes: int
    images: int

    @classmethod
    def now(cls) -> Wal:
        """Ask the database."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0', wal_fpi FROM pg_stat_wal")
            written, images = cursor.fetchone()
        return cls(int(written), int(images))
