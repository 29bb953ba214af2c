"""The statements that insert inbox records and tell which of them are new."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

from ..models import InboxRecord

Statement = tuple[str, list[Any]]

_NAMES = ("group", "source", "event_id")
_JSON_ROWS = 10_000
_PARAMETERS = 30_000


class Row(NamedTuple):
    """In what the records of a batch differ; named as the model's fields."""

    source: str
    event_id: str
    topic: str
    partition: int
    offset: int
    timestamp: int | None
    handler: str


def most_at_once(connection: BaseDatabaseWrapper) -> int:
    """Return how many records :func:`many` takes; 0 if the database does not tell which are new."""
    if not connection.features.can_return_rows_from_bulk_insert:
        return 0
    if connection.vendor == "postgresql":
        return _JSON_ROWS
    return (connection.features.max_query_params or _PARAMETERS) // len(_fields())


def one(connection: BaseDatabaseWrapper, record: InboxRecord) -> Statement:
    """Return what inserts one record unless there is one of that identity; see the row count.

    The ORM's ``ignore_conflicts`` does not tell whether a row went in.
    """
    values = [_value(field, record, connection) for field in _fields()]
    return _insert(connection, f"VALUES {_places(1)}"), values


def many(connection: BaseDatabaseWrapper, shared: InboxRecord, rows: Sequence[Row]) -> Statement:
    """Return what inserts records in their order; it gives the identities of those that are new.

    Args:
        shared: has all that they have in common.
        rows: what each has of its own.
    """
    by = _by_json if connection.vendor == "postgresql" else _by_values
    statement, values = by(connection, shared, rows)
    told = ", ".join(map(connection.ops.quote_name, _NAMES))
    return f"{statement} RETURNING {told}", values


def _by_values(
    connection: BaseDatabaseWrapper, shared: InboxRecord, rows: Sequence[Row]
) -> Statement:
    fields = _fields()
    common = {field.name: _value(field, shared, connection) for field in fields}
    values = [
        getattr(row, field.name) if field.name in Row._fields else common[field.name]
        for row in rows
        for field in fields
    ]
    return _insert(connection, f"VALUES {_places(len(rows))}"), values


def _by_json(
    connection: BaseDatabaseWrapper, shared: InboxRecord, rows: Sequence[Row]
) -> Statement:
    """One parameter for all rows: thousands of them cost the client more than the database."""
    quote, fields = connection.ops.quote_name, _fields()
    own = {field.name: field.db_type(connection) for field in fields if field.name in Row._fields}
    chosen = ", ".join(
        f"r.{quote(field.name)}" if field.name in own else f"%s::{field.db_type(connection)}"
        for field in fields
    )
    types = ", ".join(f"{quote(name)} {kind}" for name, kind in own.items())
    values = [_value(field, shared, connection) for field in fields if field.name not in own]
    source = f"SELECT {chosen} FROM json_to_recordset(%s::json) AS r({types})"  # noqa: S608  # names and types of our own model
    return _insert(connection, source), [*values, json.dumps([row._asdict() for row in rows])]


def _insert(connection: BaseDatabaseWrapper, rows: str) -> str:
    quote = connection.ops.quote_name
    names = ", ".join(quote(_column(field)) for field in _fields())
    table = quote(InboxRecord._meta.db_table)
    return f"INSERT INTO {table} ({names}) {rows} ON CONFLICT DO NOTHING"


def _places(rows: int) -> str:
    row = f"({', '.join(['%s'] * len(_fields()))})"
    return ", ".join([row] * rows)


def _fields() -> list[Field[Any, Any]]:
    return [field for field in InboxRecord._meta.concrete_fields if not field.primary_key]


def _column(field: Field[Any, Any]) -> str:
    return str(field.column)


def _value(field: Field[Any, Any], record: InboxRecord, connection: BaseDatabaseWrapper) -> Any:
    return field.get_db_prep_save(field.pre_save(record, add=True), connection)
