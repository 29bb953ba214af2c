"""Publishes rows that were there before their model was declared to publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models, transaction

from ..conf import settings
from ..errors import ConfigurationError, DeclarationError
from ..events.conditions import Change
from ..events.registry import Publication, registry
from ..step import Step
from .drafts import record


def publication_for(model: type[models.Model], topic: str) -> Publication:
    """Return the model's declaration for ``topic`` that a creation can trigger.

    Raises:
        DeclarationError: there is none.
    """
    for found in registry.publications_of(model):
        if found.topic == topic and "created" in found.when.kinds:
            return found
    on_creation = [f.topic for f in registry.publications_of(model) if "created" in f.when.kinds]
    raise DeclarationError(
        f"{model._meta.label} publishes nothing to {topic} when it is created, so there is nothing "
        f"to backfill. Topics that it can be backfilled to: {', '.join(on_creation) or 'none'}."
    )


def backfill(
    publication: Publication,
    model: type[models.Model],
    using: str = "default",
    *,
    after: Any = None,
    batch_size: int = 500,
) -> Iterator[Step]:
    """Publish a model's rows as if each had just been created, in the order of the primary key.

    A row is locked from before its event is stored until that is committed, so that the events of
    its later changes come after it. Rows that do not meet the declaration's condition are left
    alone. Each run makes new events, also for rows that were published before. Rows that are
    created meanwhile publish themselves; where primary keys do not grow, as with random UUIDs,
    such a row may be published here once more.

    Args:
        publication: from :func:`publication_for`.
        model: whose rows.
        using: alias of their database.
        after: begin after this primary key.
        batch_size: rows in one transaction.

    Yields:
        How far it has come; ``last`` is the primary key to go on after.

    Raises:
        ConfigurationError: ``KAFKA_ENABLED`` is false.
        PublishError: an event cannot be stored.
    """
    if not settings.enabled:
        raise ConfigurationError("KAFKA_ENABLED is false. Set it to true to backfill events.")
    rows = _rows(model, using, after)
    total = rows.count()
    done = left = 0
    while done + left < total:
        with transaction.atomic(using=using):
            batch = list(rows.select_for_update()[:batch_size])
            published = record(using, [publication], [Change("created", row, {}) for row in batch])
        if not batch:
            return  # rows were deleted meanwhile
        done, left = done + published, left + len(batch) - published
        after = batch[-1].pk
        rows = rows.filter(pk__gt=after)
        yield Step(done, left, min(1.0, (done + left) / total), after)


def _rows(model: type[models.Model], using: str, after: Any) -> models.QuerySet[Any]:
    """Return the rows after that primary key, up to the last one of now."""
    rows = model._base_manager.using(using).order_by("pk")
    end = rows.values_list("pk", flat=True).last()
    if end is None:
        return rows.none()
    rows = rows.filter(pk__lte=end)
    return rows if after is None else rows.filter(pk__gt=after)
