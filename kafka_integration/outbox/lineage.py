"""Whose publications a write concerns, along the line of a model's inheritance.

With multi-table inheritance one row stands in several tables, and a write of any of them may
change what another one's model publishes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from django.db import models

from ..events.conditions import Kind
from ..events.registry import Publication, registry

Model = type[models.Model]
F = TypeVar("F", bound=Callable[..., Any])


def once(work_out: F) -> F:
    """Work it out once for each model, until the declarations change."""

    @functools.wraps(work_out)
    def remembered(*arguments: Any) -> Any:
        known = registry.worked_out()
        key = work_out, arguments
        if key not in known:
            known[key] = work_out(*arguments)
        return known[key]

    return remembered  # type: ignore[return-value]  # it takes and returns the same


@once
def asking(model: Model, kind: Kind) -> list[Publication]:
    """Return the publications that a change of this kind of a row of ``model`` may match."""
    return [found for found in registry.publications_of(model) if kind in found.when.kinds]


@once
def own(model: Model, kind: Kind) -> list[Publication]:
    """Return those of :func:`asking` that no parent with a table of its own has as well.

    A deletion comes by each of these tables in turn, and each shall tell its own part only.
    """
    parents = model._meta.concrete_model._meta.parents  # type: ignore[union-attr]  # abstract models are never written
    inherited = [found for parent in parents for found in asking(parent, kind)]
    return [found for found in asking(model, kind) if found not in inherited]


@once
def updated(model: Model) -> list[tuple[Model, list[Publication]]]:
    """Return which models publish an update of a row of ``model``'s table: itself, and its heirs.

    An heir's row is changed by a write of its parent's table, if the parent has that heir.
    """
    views = [(model, asking(model, "updated"))]
    views += [(heir, own(heir, "updated")) for heir in _heirs(model)]
    return [(view, publications) for view, publications in views if publications]


def old_fields(model: Model, publications: Iterable[Publication]) -> list[str]:
    """Return the attribute names whose values before an update these publications need."""
    wanted = {name for found in publications for name in found.old_fields()}
    return [
        field.attname
        for field in model._meta.concrete_fields
        if {field.name, field.attname} & wanted
    ]


def _heirs(model: Model) -> Iterator[Model]:
    table: Any = model._meta.concrete_model
    for relation in table._meta.get_fields(include_parents=False, include_hidden=True):
        if getattr(relation, "parent_link", False) and not relation.concrete:
            yield relation.related_model
            yield from _heirs(relation.related_model)
