"""Deletions: what the rows held is read, locked, before the first of them goes.

``Model.delete()``, ``QuerySet.delete()`` and cascades all end in a Collector, which knows every
row that will go. Django's signals come row by row, and would cost two statements each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import models, transaction
from django.db.models.deletion import Collector

from ..conf import settings
from ..events.conditions import Change
from ..events.registry import Publication
from .affected import affected, require_plain
from .drafts import hold_order, record
from .lineage import Model, own
from .rows import CHUNK, chunks, every, to_delete

_RECORDED = "kafka_deletion_recorded"


def delete_collected(original: Callable[[Collector], Any], collector: Collector) -> Any:
    """Do ``Collector.delete()`` and publish every row that goes."""
    going = [(model, own(model, "deleted")) for model in collector.data]
    going = [(model, publications) for model, publications in going if publications]
    if not going:
        return original(collector)
    with transaction.atomic(using=collector.using, savepoint=False):
        told: dict[Any, set[Any]] = defaultdict(set)
        for model, publications in going:
            # One row may have been collected twice, by the model and by a proxy of it.
            of_table = told[model._meta.concrete_model]
            keys = {row.pk for row in collector.data[model]} - of_table
            of_table |= keys
            _record_keys(collector.using, model, publications, sorted(keys))
        with _marked([row for model, _ in going for row in collector.data[model]]):
            return original(collector)


def delete_unseen(
    original: Callable[[models.QuerySet[Any], str], int], queryset: models.QuerySet[Any], using: str
) -> int:
    """Do ``QuerySet._raw_delete()``, which sends no signal, and publish every row that goes.

    Raises:
        NotCapturable: the rows cannot be locked.
    """
    publications = own(queryset.model, "deleted")
    if not publications:
        return original(queryset, using)
    require_plain("QuerySet._raw_delete()", queryset)
    count = 0
    table = every(queryset.model, using)
    with transaction.atomic(using=using, savepoint=False):
        for found in affected(queryset.using(using), lock=to_delete):
            _record_keys(using, queryset.model, publications, list(found))
            count += original(table.filter(pk__in=list(found)), using)
    return count


def before_delete(sender: Model, instance: models.Model, using: str, **_: Any) -> None:
    """Publish one deletion, for collectors that have a ``delete()`` of their own.

    That this listens to ``pre_delete`` also keeps Django from deleting unseen.
    """
    publications = own(sender, "deleted")
    if settings.enabled and publications and not instance.__dict__.pop(_RECORDED, False):
        _record_keys(using, sender, publications, [instance.pk])


def _record_keys(
    using: str, model: Model, publications: list[Publication], keys: list[Any]
) -> None:
    many = len(keys) > CHUNK
    if many:
        hold_order(using, publications)
    for part in chunks(keys):
        rows = to_delete(every(model, using).filter(pk__in=part))
        changes = (Change("deleted", row, {}) for row in rows)
        record(using, publications, changes, keys_are_locked=many)


@contextmanager
def _marked(rows: list[models.Model]) -> Iterator[None]:
    for row in rows:
        row.__dict__[_RECORDED] = True
    try:
        yield
    finally:
        for row in rows:
            row.__dict__.pop(_RECORDED, None)
