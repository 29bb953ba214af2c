"""``bulk_create(update_conflicts=True)``: which rows are new, and what the others held before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any

import django
from django.db import connections, models, transaction
from django.db.models.expressions import RawSQL

from ..errors import NotCapturable
from ..events.conditions import Change
from ..events.registry import Publication
from .drafts import hold_order, record
from .lineage import asking, old_fields, updated
from .rows import CHUNK, chunks, every, to_update

_ATTEMPTS = 5
# A condition of many alternatives is deeper than SQLite allows.
_ALTERNATIVES = 200
_GIVE_KEYS = "Give the objects values for the fields of unique_fields, or save() them one by one."

Before = Mapping[Any, Mapping[str, Any]]


class _RacedError(Exception):
    """Another transaction created a row between our look and our write."""


@dataclass(frozen=True)
class Upsert:
    """One call of ``bulk_create(update_conflicts=True)``, inside a transaction.

    Args:
        original: Django's own ``QuerySet.bulk_create``.
        queryset: whose method was called.
        options: its arguments, besides the objects.
    """

    original: Callable[..., list[models.Model]]
    queryset: models.QuerySet[Any]
    options: Mapping[str, Any]

    def run(self, objects: list[models.Model]) -> list[models.Model]:
        """Write the objects and publish created and updated rows, in the order of the objects.

        Call :meth:`require_identities` before, outside the transaction.

        Raises:
            NotCapturable: it could not be told which row an object became.
        """
        if not self._unique:
            # Django says what is amiss.
            return self.original(self.queryset, objects, **self.options)
        keys = [item.pk for item in objects]
        for _ in range(_ATTEMPTS):
            try:
                with transaction.atomic(using=self.queryset.db):
                    return self._try(objects)
            except _RacedError:
                for item, key in zip(objects, keys, strict=True):
                    item.pk, item._state.adding = key, True
        raise self._refused(
            "other transactions keep creating the same rows", "Try again when they are done."
        )

    @cached_property
    def publications(self) -> list[Publication]:
        """What a created or an updated row may match."""
        found = [*asking(self.queryset.model, "created"), *asking(self.queryset.model, "updated")]
        return list(dict.fromkeys(found))

    def _try(self, objects: list[models.Model]) -> list[models.Model]:
        before = self._before(objects)
        made = self.original(self.queryset, objects, **self.options)
        many = len(objects) > CHUNK
        if many:
            hold_order(self.queryset.db, self.publications)
        for part in chunks(objects, _ALTERNATIVES):
            record(
                self.queryset.db,
                self.publications,
                self._changes(part, before),
                keys_are_locked=many,
            )
        return made

    def _before(self, objects: list[models.Model]) -> Before:
        fields = old_fields(self.queryset.model, self.publications)
        before: dict[Any, Mapping[str, Any]] = {}
        for part in chunks(objects, _ALTERNATIVES):
            rows = to_update(self._rows_of(part)).values_list("pk", *fields)
            before |= {pk: dict(zip(fields, old, strict=True)) for pk, *old in rows}
        return before

    def _changes(self, objects: Sequence[models.Model], before: Before) -> Iterator[Change]:
        rows = {self._identity(row): row for row in self._with_newness(self._rows_of(objects))}
        identities = dict.fromkeys(self._identity(item) for item in objects)
        missing = rows.keys() ^ identities.keys()
        if missing:
            raise self._refused(
                f"{len(missing)} objects cannot be told from their rows, which the database stored "
                "otherwise than they were given",
                _GIVE_KEYS,
            )
        for row in (rows[identity] for identity in identities):
            if row.pk in before:
                yield Change("updated", row, before[row.pk])
            elif getattr(row, "kafka_is_new", True):
                yield Change("created", row, {})
            else:
                raise _RacedError

    def _with_newness(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        connection = connections[self.queryset.db]
        if connection.vendor != "postgresql":
            return rows  # SQLite has one writer at a time: nobody creates a row after we looked
        # ON CONFLICT DO UPDATE locks the row that it updates, which leaves its mark in xmax.
        table = connection.ops.quote_name(self.queryset.model._meta.db_table)
        is_new = RawSQL(f"{table}.xmax = 0", (), models.BooleanField())  # noqa: S611  # the model's own name, quoted
        return rows.annotate(kafka_is_new=is_new)  # type: ignore[no-any-return]  # untyped for any model

    def _rows_of(self, objects: Sequence[models.Model]) -> models.QuerySet[Any]:
        alternatives = [
            models.Q(**dict(zip(self._names, self._identity(item), strict=True)))
            for item in objects
            if None not in self._identity(item)
        ]
        rows = every(self.queryset.model, self.queryset.db)
        return rows.filter(reduce(or_, alternatives)) if alternatives else rows.none()

    def _identity(self, item: models.Model) -> tuple[Any, ...]:
        return tuple(field.to_python(getattr(item, field.attname)) for field in self._unique)

    def require_identities(self, objects: list[models.Model]) -> None:
        """Refuse objects that could not be told from each other's rows.

        Raises:
            NotCapturable: a value of ``unique_fields`` is unknown, or heirs publish the rows too.
        """
        if [view for view, _ in updated(self.queryset.model) if view is not self.queryset.model]:
            raise self._refused(
                "rows of a model that inherits from it would change with it",
                "Use update_or_create(), or get_or_create() and QuerySet.update().",
            )
        if not self._unique and not self._features.supports_update_conflicts_with_target:
            raise self._refused("the database does not take unique_fields", _GIVE_KEYS)
        for item in objects:
            for field in self._unique:
                self._require_value(item, field)

    def _require_value(self, item: models.Model, field: Any) -> None:
        value = getattr(item, field.attname)
        if hasattr(value, "resolve_expression"):
            raise self._refused(f"{field.name} is an expression", _GIVE_KEYS)
        if value is not None or (field.primary_key and field.has_default()):
            return
        if not field.primary_key or not self._tells_keys:
            raise self._refused(f"{field.name} is None in an object", _GIVE_KEYS)

    def _refused(self, reason: str, cure: str) -> NotCapturable:
        label = self.queryset.model._meta.label
        return NotCapturable("bulk_create(update_conflicts=True)", label, reason, cure)

    @cached_property
    def _unique(self) -> list[Any]:
        options = self.queryset.model._meta
        names = self.options["unique_fields"] or ()
        return [options.pk if name == "pk" else options.get_field(name) for name in names]

    @cached_property
    def _names(self) -> list[str]:
        return [field.attname for field in self._unique]

    @property
    def _features(self) -> Any:
        return connections[self.queryset.db].features

    @property
    def _tells_keys(self) -> bool:
        return django.VERSION >= (5, 0) and self._features.can_return_rows_from_bulk_insert
