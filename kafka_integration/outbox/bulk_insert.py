"""Rows created many at once, by ``bulk_create()``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

from django.db import connections, models, transaction

from ..errors import NotCapturable
from ..events.conditions import Change
from .drafts import hold_order, record
from .joint import joinable
from .lineage import Model, asking, once, updated
from .overlap import overlapping
from .rows import CHUNK, alias_to_write, chunks, link_to, stored
from .upsert import Upsert

# Events made while the server stores those before; each further statement costs it a little.
_AT_ONCE = 500

Insert = Callable[..., list[models.Model]]


def create(
    original: Insert,
    queryset: models.QuerySet[Any],
    objects: Iterable[models.Model],
    options: Mapping[str, Any],
) -> list[models.Model]:
    """Do ``QuerySet.bulk_create()`` and publish each row, in the order of the objects.

    Args:
        original: Django's own ``QuerySet.bulk_create``.
        queryset: whose method was called.
        objects: the unsaved instances.
        options: the other arguments of ``bulk_create()``.

    Raises:
        NotCapturable: it could not be told afterwards which rows are new.
    """
    model, upserts = queryset.model, options["update_conflicts"]
    if not asking(model, "created") and not (upserts and updated(model)):
        return original(queryset, objects, **options)
    if options["ignore_conflicts"]:
        raise NotCapturable(
            "bulk_create(ignore_conflicts=True)",
            model._meta.label,
            "the database does not say which rows are new",
            "Leave out the rows that exist, or use update_conflicts=True with update_fields and "
            "unique_fields, or get_or_create().",
        )
    objects, using = list(objects), alias_to_write(queryset)
    upsert = Upsert(original, queryset, options) if upserts and objects else None
    if upsert is None:
        require_keys(queryset, objects)
    else:
        upsert.require_identities(objects)
    with transaction.atomic(using=using, savepoint=False):
        if upsert is not None:
            return upsert.run(objects)
        may_overlap = overlapping(using) if _is_plain(model) else nullcontext(False)
        with may_overlap as does_overlap:
            made = original(queryset, objects, **options)
            _record(model, using, made, _AT_ONCE if does_overlap else CHUNK)
    return made


def require_keys(queryset: models.QuerySet[Any], objects: Iterable[models.Model]) -> None:
    """Refuse objects whose keys would stay unknown.

    Raises:
        NotCapturable: the database makes a key and does not tell.
    """
    key = link_to(queryset.model)
    told = connections[queryset.db].features.can_return_rows_from_bulk_insert
    for item in objects:
        made_by_database = item.pk is None and not key.has_default()
        if (made_by_database and not told) or hasattr(item.pk, "resolve_expression"):
            raise NotCapturable(
                "bulk_create()",
                queryset.model._meta.label,
                "the database makes the primary keys and Django does not learn them",
                "Give the objects their keys, or save() them one by one.",
            )


def _record(model: Model, using: str, made: list[models.Model], at_once: int) -> None:
    publications = asking(model, "created")
    many = len(made) > CHUNK
    if many:
        hold_order(using, publications)
    for part in chunks(made, at_once):
        changes = (Change("created", row, {}, model) for row in stored(part, using))
        record(using, publications, changes, keys_are_locked=many)


@once
def _is_plain(model: Model) -> bool:
    """Tell whether no code of the project's own makes the rows of ``model`` or their events.

    Such code may ask what psycopg refuses in its pipeline mode: a server-side cursor's rows, as
    ``QuerySet.iterator()`` does, or a COPY.
    """
    return joinable(model, "created") == asking(model, "created") and all(
        type(field).__module__.startswith("django.") and not isinstance(field, models.FileField)
        for field in model._meta.concrete_fields
    )
