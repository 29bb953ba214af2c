"""What a row held before a save: read, locked, by the statement that updates it where possible.

A question of its own before the UPDATE costs a round trip and what Django needs to make a query.
On PostgreSQL the UPDATE can answer it itself: it joins the row to its own locked state from before
and returns that.

Source: PostgreSQL's documentation of ``UPDATE … FROM … RETURNING`` and of ``SELECT … FOR NO KEY
UPDATE``, which returns a row as the last commit left it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, models

from ..events.registry import Publication, registry
from .joint import Joint, comparable, joint
from .lineage import Model, old_fields, updated
from .rows import every, link_to, to_update
from .writing import Writing

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
        columns: those of them that the database can compare, as SQL, by attribute name.
        converters: for each of them, what makes Python's values of the database's.
        written: the updates that were made of it so far; a model's saves have few different ones.
    """

    start: str
    end: str
    select: str
    fields: tuple[str, ...]
    columns: Mapping[str, str]
    converters: tuple[tuple[Any, tuple[Callable[..., Any], ...]], ...]
    written: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    def asks(self, sql: str) -> bool:
        """Tell whether ``sql`` is the update of one row by its primary key."""
        return sql.startswith(self.start) and sql.endswith(self.end)

    def within(self, sql: str, events: Joint | None) -> str:
        """Return the update with the question, and perhaps events, in it."""
        key = sql, tuple(events.calls) if events else ()
        if key not in self.written:
            self.written[key] = self._written(sql, events)
        return self.written[key]

    def _written(self, sql: str, events: Joint | None) -> str:
        names = [f"kafka_{number}" for number in range(len(self.fields) + 1)]
        table, _, _ = self.end.removeprefix(" WHERE ").partition(" = ")
        wanted = ", ".join(f"kafka_before.{name}" for name in names[1:])
        update = (
            f"{sql.removesuffix(self.end)} FROM ({self.select}) AS kafka_before "
            f"({', '.join(names)}){self.end} AND {table} = kafka_before.kafka_0 RETURNING {wanted}"
        )
        if events is None:
            return update
        calls = [
            f", CASE WHEN {self._is_met(found)} THEN {call} END"
            for found, call in zip(events.publications, events.calls, strict=True)
        ]
        return update + "".join(calls)

    def _is_met(self, publication: Publication) -> str:
        """Return the condition of a publication that goes along as SQL within RETURNING."""
        if publication.when.test is None:
            return "true"
        options = publication.model._meta
        names = [options.get_field(field).attname for field in publication.when.fields]
        old = [f"kafka_before.kafka_{self.fields.index(name) + 1}" for name in names]
        changed = [
            f"{before} IS DISTINCT FROM {self.columns[name]}"
            for before, name in zip(old, names, strict=True)
        ]
        return f"({' OR '.join(changed)})"

    def values(self, row: Sequence[Any], connection: Any) -> Values:
        """Return the answer by attribute name."""
        found = {}
        answers = row[: len(self.fields)]  # what events went along stands after them
        for name, value, (column, converters) in zip(
            self.fields, answers, self.converters, strict=True
        ):
            for convert in converters:
                value = convert(value, column, connection)  # one after the other
            found[name] = value
        return found


class Before(Writing):
    """What the rows of one save held before it, for each model that publishes their updates.

    Args:
        instance: what is being saved.
        using: the database's alias; a transaction is open on it.
        is_whole: whether all columns are written.
    """

    def __init__(self, instance: models.Model, using: str, *, is_whole: bool = False) -> None:
        super().__init__(instance, using)
        self._is_whole = is_whole
        self._found: dict[Model, Values] = {}
        wanted = _wanted(type(instance))
        self._question = self._question_for(wanted)
        self.listens = self._question is not None
        if self._question is None:
            self._found = {view: self._read(view, fields) for view, fields in wanted.items()}

    def of(self, view: Model) -> Values:
        """Return the old values of the row as a row of ``view``; none if there was no such row."""
        self._settle()
        return self._found.get(view, {})

    def on_statement(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        """Let the UPDATE of this very row tell what was there, and take its events along."""
        self.heed_rollback(sql)
        question = self._question
        if question is None or many or not self._is_answer(question, sql, params):
            # Whatever else comes first, an application's receiver perhaps, may change the row.
            self._settle()
            return execute(sql, params, many, context)
        self._question = None
        events = self._events()
        asked = question.within(sql, events)
        key = params[-1]
        along = events.params if events else ()
        result = execute(asked, (*params[:-1], key, key, *along), many, context)
        for row in context["cursor"].fetchall():
            self._note(question, row, events)
        return result

    def _is_answer(self, question: Question, sql: str, params: Any) -> bool:
        # Another save within this one may write the same row, by an instance of its own.
        return self.is_innermost and question.asks(sql) and self.is_own_key(params[-1])

    def _events(self) -> Joint | None:
        if not self._is_whole:
            return None
        try:
            return joint(self.instance, "updated", self.using)
        except Exception:  # noqa: BLE001  # if the event's condition is met, it will be raised again
            return None

    def _note(self, question: Question, row: Sequence[Any], events: Joint | None) -> None:
        self._found[type(self.instance)] = question.values(row, self.connection)
        if events is not None:
            stored = zip(events.publications, row[len(question.fields) :], strict=True)
            self.took([publication for publication, event in stored if event is not None])

    def _settle(self) -> None:
        """Ask the question now if it was not asked yet."""
        question, self._question = self._question, None
        if question is not None:
            view = type(self.instance)
            self._found[view] = self._read(view, question.fields)

    def _read(self, view: Model, fields: Sequence[str]) -> Values:
        rows = to_update(row_of(self.instance, view, self.using))
        return rows.values(*fields).first() or {}

    def _question_for(self, wanted: Mapping[Model, Sequence[str]]) -> Question | None:
        model = type(self.instance)
        if self.connection.vendor != "postgresql" or [*wanted] != [model]:
            return None
        known = registry.worked_out()
        key = Question, model, self.using
        if key not in known:
            one_table = not _options(model).parents and link_to(model).column is not None
            fields = wanted[model]
            known[key] = _question(self.instance, fields, self.using) if one_table else None
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
        {name: f"{table}.{quote(column)}" for name, column in comparable(model).items()},
        tuple(
            (column, tuple(converters[place][0]) if place in converters else ())
            for place, column in enumerate(columns)
        ),
    )
