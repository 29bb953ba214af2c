"""The creation of a row that takes its events along, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import connections

from ..events.registry import registry
from .joint import joinable, joint
from .lineage import Model
from .rows import link_to
from .writing import Writing


class Shape(NamedTuple):
    """The statement that creates a row of a model from values alone, and nothing comes back.

    Args:
        sql: the statement.
        place: which of its parameters is the primary key.
    """

    sql: str
    place: int


class Insertion(Writing):
    """One creation."""

    listens = True

    @classmethod
    def fits(cls, model: Model, using: str) -> bool:
        """Tell whether the creation of a row of ``model`` may take events along."""
        return connections[using].vendor == "postgresql" and bool(joinable(model, "created"))

    def on_statement(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        """Let the INSERT of this very row store its events, too."""
        self.heed_rollback(sql)
        shape = _shape(type(self.instance), self.using)
        if many or sql != shape.sql or not self._is_own(params[shape.place]):
            return execute(sql, params, many, context)
        self.taken, self.is_as_stored = (), False  # it may be a second try
        events = joint(self.instance, "created", self.using)
        if events is None:
            return execute(sql, params, many, context)
        joined = f"{sql} RETURNING {', '.join(events.calls)}"
        result = execute(joined, (*params, *events.params), many, context)
        self.took(events.publications)
        return result

    def _is_own(self, key: object) -> bool:
        return self.is_innermost and self.is_own_key(key)


def _shape(model: Model, using: str) -> Shape:
    known = registry.worked_out()
    key = _shape, model, using
    if key not in known:
        known[key] = _work_out(model, using)
    found: Shape = known[key]
    return found


def _work_out(model: Model, using: str) -> Shape:
    quote = connections[using].ops.quote_name
    columns = [str(field.column) for field in model._meta.local_concrete_fields]
    return Shape(
        f"INSERT INTO {quote(model._meta.db_table)} "  # noqa: S608  # the model's own names, quoted
        f"({', '.join(map(quote, columns))}) VALUES ({', '.join(['%s'] * len(columns))})",
        columns.index(str(link_to(model).column)),
    )
