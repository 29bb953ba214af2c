"""The statements that insert inbox records and tell which of them are new."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

from ..models import InboxRecord

Statement = tuple[str, list[Any]]

_NAMES = ("group", "source", "event_id")
_OWN = ("source", "event_id", "topic", "partition", "offset", "timestamp", "handler")
_JSON_ROWS = 10_000
_PARAMETERS = 30_000


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
    return _by_values(connection, [record])


def many(connection: BaseDatabaseWrapper, records: Sequence[InboxRecord]) -> Statement:
    """Return what inserts records in their order; it gives the identities of those that are new.

    Args:
        records: they differ in nothing but whose message they are of.
    """
    by = _by_json if connection.vendor == "postgresql" else _by_values
    statement, values = by(connection, records)
    told = ", ".join(map(connection.ops.quote_name, _NAMES))
    return f"{statement} RETURNING {told}", values


def _by_values(connection: BaseDatabaseWrapper, records: Sequence[InboxRecord]) -> Statement:
    fields = _fields()
    row = f"({', '.join(['%s'] * len(fields))})"
    values = [_value(field, record, connection) for record in records for field in fields]
    return _insert(connection, f"VALUES {', '.join([row] * len(records))}"), values


def _by_json(connection: BaseDatabaseWrapper, records: Sequence[InboxRecord]) -> Statement:
    """One parameter for all rows: thousands of them cost the client more than the database."""
    quote, fields = connection.ops.quote_name, _fields()
    own = [field for field in fields if field.name in _OWN]
    shared = [field for field in fields if field.name not in _OWN]
    chosen = ", ".join(
        f"r.{quote(_column(field))}" if field.name in _OWN else f"%s::{field.db_type(connection)}"
        for field in fields
    )
    types = ", ".join(f"{quote(_column(field))} {field.db_type(connection)}" for field in own)
    rows = [{_column(field): getattr(record, field.name) for field in own} for record in records]
    values = [_value(field, records[0], connection) for field in shared]
    source = f"SELECT {chosen} FROM json_to_recordset(%s::json) AS r({types})"  # noqa: S608  # names and types of our own model
    return _insert(connection, source), [*values, json.dumps(rows)]


def _insert(connection: BaseDatabaseWrapper, rows: str) -> str:
    quote = connection.ops.quote_name
    names = ", ".join(quote(_column(field)) for field in _fields())
    table = quote(InboxRecord._meta.db_table)
    return f"INSERT INTO {table} ({names}) {rows} ON CONFLICT DO NOTHING"


def _fields() -> list[Field[Any, Any]]:
    return [field for field in InboxRecord._meta.concrete_fields if not field.primary_key]


def _column(field: Field[Any, Any]) -> str:
    return str(field.column)


def _value(field: Field[Any, Any], record: InboxRecord, connection: BaseDatabaseWrapper) -> Any:
    return field.get_db_prep_save(field.pre_save(record, add=True), connection)
