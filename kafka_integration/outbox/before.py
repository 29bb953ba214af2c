"""What a row held before a save: read, locked, by the statement that updates it where possible.

A question of its own before the UPDATE costs a round trip and what Django needs to make a query.
On PostgreSQL the UPDATE can answer it itself: it joins the row to its own locked state from before
and returns that.

Source: PostgreSQL's documentation of ``UPDATE … FROM … RETURNING`` and of ``SELECT … FOR NO KEY
UPDATE``, which returns a row as the last commit left it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from django.db import connections, models

from ..events.registry import registry
from .lineage import Model, old_fields, updated
from .rows import every, link_to, to_update

Values = Mapping[str, Any]


def row_of(instance: models.Model, view: Model, using: str) -> models.QuerySet[Any]:
    """Return the row of ``instance`` as a row of its own model, or of one that inherits from it."""
    if isinstance(instance, view):
        return every(view, using).filter(pk=instance.pk)
    return every(view, using).filter(**{link_to(type(instance)).name: instance.pk})


@dataclass(frozen=True)
class Question:
    """The question for a row's old values, as a part of the statement that updates it.

    Args:
        start: how such a statement begins, up to its first value.
        end: how it ends: with the condition for the primary key.
        select: the question as SQL, with the primary key as its parameter.
        fields: the attribute names that it asks for.
        converters: for each of them, what makes Python's values of the database's.
    """

    start: str
    end: str
    select: str
    fields: tuple[str, ...]
    converters: tuple[tuple[Any, tuple[Callable[..., Any], ...]], ...]

    def asks(self, sql: str) -> bool:
        """Tell whether ``sql`` is the update of one row by its primary key."""
        return sql.startswith(self.start) and sql.endswith(self.end)

    def within(self, sql: str) -> str:
        """Return the update with the question in it."""
        names = [f"kafka_{number}" for number in range(len(self.fields) + 1)]
        table, _, _ = self.end.removeprefix(" WHERE ").partition(" = ")
        wanted = ", ".join(f"kafka_before.{name}" for name in names[1:])
        return (
            f"{sql.removesuffix(self.end)} FROM ({self.select}) AS kafka_before "
            f"({', '.join(names)}){self.end} AND {table} = kafka_before.kafka_0 RETURNING {wanted}"
        )

    def values(self, row: Sequence[Any], connection: Any) -> Values:
        """Return the answer by attribute name."""
        found = {}
        for name, value, (column, converters) in zip(
            self.fields, row, self.converters, strict=True
        ):
            for convert in converters:
                value = convert(value, column, connection)  # one after the other
            found[name] = value
        return found


class Before:
    """What the rows of one save held before it, for each model that publishes their updates.

    Args:
        instance: what is being saved.
        using: the database's alias; a transaction is open on it.
    """

    def __init__(self, instance: models.Model, using: str) -> None:
        self._instance = instance
        self._connection = connections[using]
        self._using = using
        self._found: dict[Model, Values] = {}
        wanted = _wanted(type(instance))
        self._question = self._question_for(wanted)
        if self._question is None:
            self._found = {view: self._read(view, fields) for view, fields in wanted.items()}

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[()]]:
        # It hangs on the instance while that is saved, and a receiver may pickle or copy it.
        return dict, ()

    def asked(self) -> AbstractContextManager[None]:
        """Let the update within the ``with`` block tell what was there before it."""
        if self._question is None:
            return nullcontext()
        return self._connection.execute_wrapper(self._on_statement)

    def of(self, view: Model) -> Values:
        """Return the old values of the row as a row of ``view``; none if there was no such row."""
        self._settle()
        return self._found.get(view, {})

    def _on_statement(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        question = self._question
        if question is None or many or not question.asks(sql) or not self._is_own(params[-1]):
            # Whatever else comes first, an application's receiver perhaps, may change the row.
            self._settle()
            return execute(sql, params, many, context)
        self._question = None
        key = params[-1]
        result = execute(question.within(sql), (*params[:-1], key, key), many, context)
        rows = context["cursor"].fetchall()
        if rows:
            values = question.values(rows[0], self._connection)
            self._found[type(self._instance)] = values
        return result

    def _is_own(self, key: Any) -> bool:
        field = link_to(type(self._instance))
        return bool(key == field.get_db_prep_value(self._instance.pk, self._connection))

    def _settle(self) -> None:
        """Ask the question now if it was not asked yet."""
        question, self._question = self._question, None
        if question is not None:
            view = type(self._instance)
            self._found[view] = self._read(view, question.fields)

    def _read(self, view: Model, fields: Sequence[str]) -> Values:
        rows = to_update(row_of(self._instance, view, self._using))
        return rows.values(*fields).first() or {}

    def _question_for(self, wanted: Mapping[Model, Sequence[str]]) -> Question | None:
        model = type(self._instance)
        if self._connection.vendor != "postgresql" or [*wanted] != [model]:
            return None
        known = registry.worked_out()
        key = Question, model, self._using
        if key not in known:
            one_table = not _options(model).parents and link_to(model).column is not None
            fields = wanted[model]
            known[key] = _question(self._instance, fields, self._using) if one_table else None
        found: Question | None = known[key]
        return found


def _wanted(model: Model) -> Mapping[Model, Sequence[str]]:
    known = registry.worked_out()
    key = _wanted, model
    if key not in known:
        fields = {view: old_fields(view, asked) for view, asked in updated(model)}
        known[key] = {view: names for view, names in fields.items() if names}
    found: Mapping[Model, Sequence[str]] = known[key]
    return found


def _options(model: Model) -> Any:
    return model._meta.concrete_model._meta  # type: ignore[union-attr]  # it is saved, so not abstract


def _question(instance: models.Model, fields: Sequence[str], using: str) -> Question:
    connection = connections[using]
    quote = connection.ops.quote_name
    model = type(instance)
    table = quote(model._meta.db_table)
    key: Any = link_to(model)
    rows: Any = to_update(row_of(instance, model, using)).order_by()
    compiler = rows.values_list("pk", *fields).query.get_compiler(using)
    select, _ = compiler.as_sql()
    columns = [column for column, _, _ in compiler.select[1:]]
    converters = compiler.get_converters(columns)
    return Question(
        f"UPDATE {table} SET ",  # noqa: S608  # the model's own name, quoted
        f" WHERE {table}.{quote(key.column)} = %s",
        str(select),
        tuple(fields),
        tuple(
            (column, tuple(converters[place][0]) if place in converters else ())
            for place, column in enumerate(columns)
        ),
    )
