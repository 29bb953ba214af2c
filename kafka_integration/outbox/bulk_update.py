"""Updates of many rows at once: each row's old values are read before, the row itself after."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import models, transaction

from ..errors import NotCapturable
from ..events.conditions import Change
from ..events.registry import Publication
from .affected import Found, affected, looks_elsewhere, require_plain
from .drafts import hold_order, record
from .lineage import Model, old_fields, updated
from .rows import CHUNK, alias_to_write, every, link_to, to_update

Views = Sequence[tuple[Model, list[Publication]]]
Update = Callable[..., int]


def update(original: Update, queryset: models.QuerySet[Any], values: Mapping[str, Any]) -> int:
    """Do ``QuerySet.update()`` and publish what it changed.

    Args:
        original: Django's own ``QuerySet.update``.
        queryset: whose rows are updated.
        values: the arguments of ``update()``.

    Raises:
        NotCapturable: the rows cannot be locked, or their keys would change.
    """
    views = updated(queryset.model)
    if not views:
        return original(queryset, **values)
    require_plain("QuerySet.update()", queryset)
    _require_same_keys(queryset.model, values)
    with transaction.atomic(using=alias_to_write(queryset), savepoint=False):
        count = sum(_update_chunks(original, queryset, values, views))
    queryset._result_cache = None
    return count


def limited_batch(model: Model, wanted: int | None) -> int | None:
    """Return in which batches ``bulk_update()`` shall call ``update()``.

    Its statements grow with the batch: cut into chunks here, a batch of 10,000 objects would be
    ten statements that name 10,000 objects each.
    """
    if not updated(model) or (wanted is not None and wanted <= CHUNK):
        return wanted
    return CHUNK


def update_by_key(using: str, model: Model, keys: Collection[Any], values: dict[str, Any]) -> bool:
    """Update rows that a deletion found, as ``SET_DEFAULT`` does; return whether it was done here.

    Django does so below the queryset, past everything that listens.
    """
    if not updated(model):
        return False
    every(model, using).filter(pk__in=keys).update(**values)
    return True


def _update_chunks(
    original: Update, queryset: models.QuerySet[Any], values: Mapping[str, Any], views: Views
) -> Iterator[int]:
    model, using = queryset.model, queryset.db
    fields = [name for view, asked in views if view is model for name in old_fields(view, asked)]
    at_once = looks_elsewhere([*values.values(), *queryset.query.annotations.values()])
    many = False
    found: Found = {}
    for found in affected(queryset, fields, at_once=at_once):
        if len(found) >= CHUNK and not many:
            hold_order(using, [publication for _, asked in views for publication in asked])
            many = True
        before = _old_values(found, views, model, using)
        yield original(_narrowed(queryset, list(found)), **values)
        for view, publications in views:
            changes = _changes(view, model, using, before[view])
            record(using, publications, changes, keys_are_locked=many)
    if not found:
        # No row: Django still looks at the arguments.
        yield original(_narrowed(queryset, []), **values)


def _old_values(found: Found, views: Views, model: Model, using: str) -> dict[Model, Found]:
    before: dict[Model, Found] = {}
    key = link_to(model)
    for view, publications in views:
        if view is model:
            before[view] = found
        else:
            fields = old_fields(view, publications)
            heirs = every(view, using).filter(**{f"{key.name}__in": list(found)})
            rows = to_update(heirs).values_list("pk", *fields)
            before[view] = {pk: dict(zip(fields, old, strict=True)) for pk, *old in rows}
    return before


def _changes(view: Model, model: Model, using: str, before: Found) -> Iterable[Change]:
    if not before:
        return
    for row in every(view, using).filter(pk__in=list(before)).order_by("pk"):
        yield Change("updated", row, before[row.pk])


def _narrowed(queryset: models.QuerySet[Any], keys: list[Any]) -> models.QuerySet[Any]:
    """Return a queryset of exactly these rows, which the same values can be set on."""
    if not queryset.query.annotations:
        return every(queryset.model, queryset.db).filter(pk__in=keys)
    # The values may name annotations. The conditions have had their say, and must not have it
    # again after other rows were changed.
    narrowed = queryset.all()
    narrowed.query.clear_where()
    return narrowed.filter(pk__in=keys)


def _require_same_keys(model: Model, values: Mapping[str, Any]) -> None:
    key: Any = model._meta.pk
    parts = getattr(model._meta, "pk_fields", [key])
    for name in values:
        field = key if name == "pk" else model._meta.get_field(name)
        if field in parts or getattr(field, "primary_key", False):
            raise NotCapturable(
                "QuerySet.update()",
                model._meta.label,
                f"{name} is the primary key, and a row with another key is another row",
                "Create rows with the new keys and delete the old ones.",
            )
