"""The different values of an indexed column, found without reading the whole table."""

from __future__ import annotations

from typing import Any

from django.db import connections, models

# A "loose index scan": one look into the index for each value, where SELECT DISTINCT would read
# all of it. Source: PostgreSQL wiki, "Loose indexscan".
_LOOSE_SCAN = """
WITH RECURSIVE found (value) AS (
    SELECT min({column}) FROM {table}
    UNION ALL
    SELECT (SELECT min({column}) FROM {table} WHERE {column} > found.value)
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL
"""


def distinct_values(queryset: models.QuerySet[Any], column: str) -> list[str]:
    """Return the different values of ``column`` in the queryset's table, sorted.

    Cheap only while the values are few and an index starts with ``column``.

    Args:
        queryset: names the table and the database; its filters are not looked at.
        column: a text field of the model.
    """
    connection = connections[queryset.db]
    meta = queryset.model._meta
    statement = _LOOSE_SCAN.format(
        column=connection.ops.quote_name(meta.get_field(column).column),
        table=connection.ops.quote_name(meta.db_table),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [value for (value,) in cursor.fetchall()]
