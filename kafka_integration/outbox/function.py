"""The server's own function that stores one event, where a migration could create it.

A session keeps the plans of such a function, which take longer to make than to carry out, without
the client preparing anything: so it works behind PgBouncer in transaction mode too.
"""

from __future__ import annotations

from django.db import connections

from ..models.setup import DEFAULT_SHARDS

CALL = f"kafka_outbox_capture(%s, %s, %s, {{value}}, %s, %s, %s, %s, {DEFAULT_SHARDS}, %s)"
"""The call as SQL; ``{value}`` is the expression for the value."""

_USABLE = """
SELECT coalesce(has_function_privilege(to_regprocedure(
    'kafka_outbox_capture('
    'uuid, text, text, bytea, jsonb, timestamptz, bigint, timestamptz, integer, text)'
), 'EXECUTE'), false)
"""

# Asked once a process and database: while a release is rolled out its migration may come later.
_known: dict[tuple[str, ...], bool] = {}


def is_usable(using: str) -> bool:
    """Tell whether the function is there and may be called; a PostgreSQL connection is open."""
    connection = connections[using]
    settings = connection.settings_dict
    key = using, str(settings["NAME"]), str(settings["HOST"]), str(settings["PORT"])
    if key not in _known:
        # The driver's own cursor: no business of those who count or watch the project's queries.
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            cursor.execute(_USABLE)
            _known[key] = bool(cursor.fetchone()[0])
    return _known[key]


def forget() -> None:
    """Ask again; for those who migrate within a process that goes on."""
    _known.clear()
