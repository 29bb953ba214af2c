"""Puts capture into Django's bulk writes, which send no signal.

The methods of ``QuerySet`` itself are replaced, once, and ask whether the model publishes. Nothing
narrower holds: a model may be reached by managers of its own, by ``_base_manager``, by related
managers that Django makes on the fly, by querysets that were pickled; and all of them end in these
methods. For models that do not publish, a look into the registry is all that it costs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.db.models.deletion import Collector
from django.db.models.sql import UpdateQuery

from ..conf import settings
from . import bulk_delete, bulk_insert, bulk_update
from .bulk_update import limited_batch

_INSTALLED = "kafka_captured"


def install() -> None:
    """Capture bulk writes from now on; calling it again does no harm."""
    _replace(QuerySet, "bulk_create", _bulk_create)
    _replace(QuerySet, "bulk_update", _bulk_update)
    _replace(QuerySet, "update", _update)
    _replace(QuerySet, "_raw_delete", _raw_delete)
    _replace(Collector, "delete", _delete)
    _replace(UpdateQuery, "update_batch", _update_batch)


def _replace(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    if not hasattr(original, _INSTALLED):
        replacement = functools.wraps(original)(make(original))
        setattr(replacement, _INSTALLED, True)
        setattr(owner, name, replacement)


def _bulk_create(original: Callable[..., Any]) -> Callable[..., Any]:
    def bulk_create(
        self: QuerySet[Any],
        objs: Any,
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Any = None,
        unique_fields: Any = None,
    ) -> Any:
        options = {
            "batch_size": batch_size,
            "ignore_conflicts": ignore_conflicts,
            "update_conflicts": update_conflicts,
            "update_fields": update_fields,
            "unique_fields": unique_fields,
        }
        if not settings.enabled:
            return original(self, objs, **options)
        return bulk_insert.create(original, self, objs, options)

    return bulk_create


def _bulk_update(original: Callable[..., int]) -> Callable[..., int]:
    def bulk_update(
        self: QuerySet[Any], objs: Any, fields: Any, batch_size: int | None = None
    ) -> int:
        if settings.enabled:
            batch_size = limited_batch(self.model, batch_size)
        return original(self, objs, fields, batch_size)

    return bulk_update


def _update(original: Callable[..., int]) -> Callable[..., int]:
    def update(self: QuerySet[Any], **kwargs: Any) -> int:
        if not settings.enabled:
            return original(self, **kwargs)
        return bulk_update.update(original, self, kwargs)

    return update


def _raw_delete(original: Callable[..., int]) -> Callable[..., int]:
    def _raw_delete(self: QuerySet[Any], using: str) -> int:
        if not settings.enabled:
            return original(self, using)
        return bulk_delete.delete_unseen(original, self, using)

    return _raw_delete


def _delete(original: Callable[[Collector], Any]) -> Callable[[Collector], Any]:
    def delete(self: Collector) -> Any:
        return bulk_delete.delete_collected(original, self) if settings.enabled else original(self)

    return delete


def _update_batch(original: Callable[..., None]) -> Callable[..., None]:
    def update_batch(
        self: UpdateQuery, pk_list: list[Any], values: dict[str, Any], using: str
    ) -> None:
        model: Any = self.model
        if settings.enabled and bulk_update.update_by_key(using, model, pk_list, values):
            return
        original(self, pk_list, values, using)

    return update_batch
