"""Rows as they are in the database now, whatever a manager hides and an instance remembers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timezone
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db import connections, models
from django.utils.timezone import is_naive

from ..conf import keeps_time_zones

T = TypeVar("T")

CHUNK = 1_000
"""Rows that are read, changed and published at once."""


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut a sequence into parts of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))


def every(model: type[models.Model], using: str) -> models.QuerySet[Any]:
    """Return a queryset of all rows: a project's base manager might hide some."""
    return models.QuerySet(model, using=using)


def alias_to_write(queryset: Any) -> str:
    """Return the database that a write of the queryset goes to; its reads follow there."""
    queryset._for_write = True
    alias: str = queryset.db
    return alias


def to_update(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Lock the rows as an UPDATE would: inserts that refer to them need not wait."""
    no_key = connections[queryset.db].features.has_select_for_no_key_update
    return queryset.order_by("pk").select_for_update(no_key=no_key)


def to_delete(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Lock the rows as a DELETE would."""
    return queryset.order_by("pk").select_for_update()


def link_to(model: type[models.Model]) -> models.Field[Any, Any]:
    """Return the primary key's field: heirs of the model have it too, by the same name."""
    key: Any = model._meta.pk
    return key  # type: ignore[no-any-return]  # only abstract models have none


def stored(
    instances: Sequence[models.Model], using: str, written: Collection[str] | None = None
) -> list[models.Model]:
    """Return instances that hold the rows as they are now; the caller's are never changed.

    A caller's instance is as good as its row unless some columns were not written from it, or the
    database stored something else than what it holds.

    Args:
        instances: instances of one model that were written a moment ago.
        using: the database's alias.
        written: the fields that were written, or None for all.

    Raises:
        ObjectDoesNotExist: a row is gone, or has another key than its instance.
    """
    if not instances:
        return []
    stale = list(instances)
    if written is None:
        unlike = _unlike_their_rows(instances)
        if not unlike:
            return list(instances)
        stale = [instances[place] for place in sorted(unlike)]
    fresh = _read(stale, using)
    return [fresh.get(id(instance), instance) for instance in instances]


def is_as_stored(instance: models.Model) -> bool:
    """Tell whether a row written from all of the instance's values surely holds just these."""
    values = instance.__dict__
    for field, plain in _columns(type(instance)):
        value = values.get(field.attname, field)
        if _look_of(value) not in plain and not _has_stored(instance, field):
            return False
    return True


def _read(instances: Sequence[models.Model], using: str) -> dict[int, models.Model]:
    model = type(instances[0])
    key = link_to(model)
    found: dict[Any, models.Model] = {}
    for part in chunks(instances):
        rows = every(model, using).filter(pk__in=[instance.pk for instance in part])
        found |= {row.pk: row for row in rows}
    fresh = {id(instance): found.get(key.to_python(instance.pk)) for instance in instances}
    if None in fresh.values():
        raise ObjectDoesNotExist(
            f"A row of {model._meta.label} could not be read back after it was written."
        )
    return fresh  # type: ignore[return-value]  # None is ruled out


# Values of exactly these types come back as they are from Django's own fields.
_PLAIN_TYPES: dict[type, type] = {
    models.BigIntegerField: int,
    models.BooleanField: bool,
    models.CharField: str,
    models.FloatField: float,
    models.IntegerField: int,
    models.PositiveBigIntegerField: int,
    models.PositiveIntegerField: int,
    models.PositiveSmallIntegerField: int,
    models.SlugField: str,
    models.SmallIntegerField: int,
    models.TextField: str,
    models.URLField: str,
    models.UUIDField: UUID,
}


@cache
def _columns(model: type[models.Model]) -> list[tuple[models.Field[Any, Any], set[object]]]:
    return [(field, _plain(field)) for field in model._meta.concrete_fields]


def _plain(field: Any) -> set[object]:
    """Return what :func:`_look_of` says of values that need no closer look; may be empty."""
    if getattr(field, "generated", False):
        return set()
    if type(field) in {models.ForeignKey, models.OneToOneField}:
        return _plain(field.target_field)
    if type(field) is models.DateTimeField:
        return {_UTC}
    found = _PLAIN_TYPES.get(type(field))
    return {found, type(None)} if found else set()


def _look_of(value: object) -> object:
    kind = type(value)
    return (kind, value.tzinfo) if kind is datetime else kind  # type: ignore[attr-defined]  # a datetime has it


_UTC = (datetime, timezone.utc)


def _unlike_their_rows(instances: Sequence[models.Model]) -> set[int]:
    """Return the places of those whose rows may hold something else than they do.

    Column by column: mostly a look at the values' types tells that all of them are plain.
    """
    unlike: set[int] = set()
    values = [instance.__dict__ for instance in instances]
    for field, plain in _columns(type(instances[0])):
        name = field.attname
        look = _look_of if _UTC in plain else type
        if not plain.issuperset([look(one.get(name, field)) for one in values]):
            unlike |= {i for i, one in enumerate(instances) if not _has_stored(one, field)}
    return unlike


def _has_stored(instance: models.Model, field: models.Field[Any, Any]) -> bool:
    if getattr(field, "generated", False) or field.attname not in instance.__dict__:
        return False
    value = instance.__dict__[field.attname]
    if value is None:
        return True
    if hasattr(value, "resolve_expression"):
        return False
    return type(field.to_python(value)) is type(value) and _keeps(field, value)


def _keeps(field: models.Field[Any, Any], value: Any) -> bool:
    """Tell whether a value of the right type comes back from the database as it is."""
    if isinstance(field, models.DecimalField):
        return bool(value.as_tuple().exponent == -field.decimal_places)
    if isinstance(value, datetime) and is_naive(value) and keeps_time_zones():
        return False
    # JSON has no tuples and no numbers as keys; a field that is not Django's may convert anything.
    return not isinstance(field, models.JSONField) and type(field).__module__.startswith("django.")
