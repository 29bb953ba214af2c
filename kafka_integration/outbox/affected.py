"""Which rows a bulk write reaches: found, locked and read before it, in the order of their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models.expressions import RawSQL
from django.db.models.sql import Query

from ..errors import NotCapturable
from .rows import CHUNK, chunks, every, to_update

Lock = Callable[[models.QuerySet[Any]], models.QuerySet[Any]]
Found = Mapping[Any, Mapping[str, Any]]
"""Primary keys of affected rows, each with the values that were asked for."""


def affected(
    queryset: models.QuerySet[Any],
    fields: Sequence[str] = (),
    *,
    lock: Lock = to_update,
    at_once: bool = False,
) -> Iterator[Found]:
    """Yield the rows that a write of ``queryset`` reaches, locked, in chunks of bounded size.

    Each chunk may be written before the next one is asked for.

    Args:
        queryset: what is to be written; see :func:`require_plain`.
        fields: attribute names whose values are wanted.
        lock: how rows are locked.
        at_once: yield one chunk with all of them, whatever it takes.
    """
    queryset = queryset.order_by("pk")
    queryset.query.select_for_update = False
    if not at_once and _tells_by_itself(queryset.values_list("pk", *fields)):
        return _in_one_pass(queryset, fields, lock)
    return _in_two_passes(queryset, fields, lock, at_once)


def require_plain(operation: str, queryset: models.QuerySet[Any]) -> None:
    """Refuse a queryset whose rows cannot be locked.

    Raises:
        NotCapturable: it is combined, sliced, distinct or aggregated.
    """
    query = queryset.query
    reasons = {
        f"the queryset is made by {query.combinator}()": query.combinator,
        "the queryset is sliced": query.is_sliced,
        "the queryset is distinct": query.distinct,
        "the queryset is aggregated": query.group_by is not None,
    }
    for reason, holds in reasons.items():
        if holds:
            name = queryset.model.__name__
            cure = (
                "Rows must be locked before they change, which the database does for plain "
                f"queries only. Use {name}.objects.filter(pk__in=queryset.values('pk')) in its "
                "place."
            )
            raise NotCapturable(operation, queryset.model._meta.label, reason, cure)


def looks_elsewhere(expressions: Iterable[Any]) -> bool:
    """Tell whether a value is computed from other rows, which the same write may be changing."""
    return any(
        isinstance(part, (Query, models.QuerySet, RawSQL)) or getattr(part, "subquery", False)
        for expression in expressions
        for part in _parts(expression)
    )


def _parts(expression: Any) -> Iterable[Any]:
    if isinstance(expression, models.QuerySet) or not hasattr(expression, "flatten"):
        return [expression]
    return expression.flatten()  # type: ignore[no-any-return]  # Django's expressions are untyped


def _tells_by_itself(queryset: models.QuerySet[Any]) -> bool:
    """Tell whether each row says alone whether it belongs, so that other writes change nothing."""
    try:
        sql, _ = queryset.query.get_compiler(queryset.db).as_sql()
    except EmptyResultSet:
        return True
    text = sql.upper()
    return text.count("SELECT") == 1 and " JOIN " not in text and not queryset.query.extra_tables


def _in_one_pass(
    queryset: models.QuerySet[Any], fields: Sequence[str], lock: Lock
) -> Iterator[Found]:
    rest = queryset
    while rows := list(lock(rest).values_list("pk", *fields)[:CHUNK]):
        yield {key: dict(zip(fields, values, strict=True)) for key, *values in rows}
        if len(rows) < CHUNK:
            return
        rest = queryset.filter(pk__gt=rows[-1][0])


def _in_two_passes(
    queryset: models.QuerySet[Any], fields: Sequence[str], lock: Lock, at_once: bool
) -> Iterator[Found]:
    """Find and lock all rows before the first of them is written.

    A join or a subquery cannot be locked, so that rows are found first, then locked, and then
    those that meanwhile changed are sorted out.
    """
    table = every(queryset.model, queryset.db)
    candidates = list(dict.fromkeys(queryset.values_list("pk", flat=True)))
    keys: list[Any] = []
    for part in chunks(candidates):
        list(lock(table.filter(pk__in=part)).values_list("pk"))
    for part in chunks(candidates):
        still = set(queryset.filter(pk__in=part).values_list("pk", flat=True))
        keys += [key for key in part if key in still]
    for part in chunks(keys, max(len(keys), 1) if at_once else CHUNK):
        rows = table.filter(pk__in=part).order_by("pk").values_list("pk", *fields)
        yield {key: dict(zip(fields, values, strict=True)) for key, *values in rows}
