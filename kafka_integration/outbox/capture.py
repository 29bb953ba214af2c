"""From a saved model to the outbox, inside the model's own transaction.

Django's signals say what happens; the row itself, never the instance's memory, says what was
there before. A bare ``save()`` commits before ``post_save`` is sent, so ``save_base`` of every
publishing model runs inside ``atomic``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connections, models, router, transaction
from django.db.models.signals import post_save, pre_delete

from ..conf import settings
from ..errors import NotInTransaction, UnusableKey
from ..events.catalogue import check_catalogued
from ..events.conditions import Change
from ..events.contract import EventData, require_event
from ..events.registry import Publication, registry
from ..events.topics import check_event_topic
from .before import Before, row_of
from .bulk_delete import before_delete
from .drafts import Occasion, record
from .insertion import Insertion
from .lineage import Model, asking, own, updated
from .rows import stored
from .store import append, lock_keys
from .writing import Writing

_WRAPPED = "kafka_atomic"


def publish(
    event: EventData,
    *,
    topic: str,
    key: object,
    using: str = "default",
    headers: Mapping[str, str] | None = None,
    available_at: datetime | None = None,
) -> UUID:
    """Publish an event that no model's save stands for, in the open transaction.

    Args:
        event: the data.
        topic: the Kafka topic, ``domain.action.format``.
        key: events of one topic and key keep their order; becomes text.
        using: alias of the database whose transaction the event belongs to.
        headers: further headers.
        available_at: do not send it before this time (aware).

    Returns:
        The event's id, ``ce_id`` on the wire.

    Raises:
        NotAnEvent: ``event`` is no instance of a contract.
        NotInTransaction: no transaction is open on that database.
        TopicNameError, UnknownTopic: the topic cannot be used.
        PublishError: key or size cannot be used.
    """
    require_event(event)
    check_event_topic(topic)
    check_catalogued(topic)
    if not connections[using].in_atomic_block:
        raise NotInTransaction(using)
    if key is None:
        raise UnusableKey(topic, key)  # most likely the primary key of what is not saved yet
    new = Occasion().draft(event, topic, str(key), extra=headers, available_at=available_at)
    if settings.enabled:
        lock_keys(using, [new])
        append(using, [new])
    return new.event_id


def connect() -> None:
    """Start capturing for every model that is declared by now; calling it again does no harm."""
    for model in apps.get_models(include_auto_created=True):
        # A model that publishes nothing itself may write the rows of an heir that does.
        if registry.publications_of(model) or updated(model):
            _wire(model)


def _wire(model: Model) -> None:
    uid = f"kafka_integration:{model._meta.label}"
    _connect_first(model, uid)
    if own(model, "deleted"):
        pre_delete.connect(before_delete, sender=model, dispatch_uid=uid)
    if not hasattr(model.save_base, _WRAPPED):
        model.save_base = _atomic(model.save_base)  # type: ignore[method-assign]  # the one hook that runs before save commits


def _connect_first(model: Model, uid: str) -> None:
    """Hear of a save before the application's own receivers do.

    One of them may save the row again, and that event must come after this one.
    """
    known = len(post_save.receivers)
    post_save.connect(_after_save, sender=model, dispatch_uid=uid)
    with post_save.lock:
        if len(post_save.receivers) > known:
            post_save.receivers.insert(0, post_save.receivers.pop())
            post_save.sender_receivers_cache.clear()


def _atomic(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def save_base(
        self: models.Model,
        raw: bool = False,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Collection[str] | None = None,
    ) -> None:
        alias = using or router.db_for_write(type(self), instance=self)
        new = bool(force_insert) or (not force_update and _is_surely_new(self))
        # Without a savepoint, so that an error in capture rolls the caller's transaction back.
        with transaction.atomic(using=alias, savepoint=False):
            quiet = raw or not settings.enabled
            with _writing(self, alias, new=new, quiet=quiet, is_whole=update_fields is None):
                original(self, raw, force_insert, force_update, alias, update_fields)

    setattr(save_base, _WRAPPED, True)
    return save_base


def _writing(
    instance: models.Model, using: str, *, new: bool, quiet: bool, is_whole: bool
) -> Writing:
    if not quiet and not new:
        return Before(instance, using, is_whole=is_whole)
    if not quiet and Insertion.fits(type(instance), using):
        return Insertion(instance, using)
    writing = Writing(instance, using)
    writing.captured = not quiet
    return writing


def _is_surely_new(instance: models.Model) -> bool:
    # Django inserts such an instance without trying an UPDATE first.
    key = instance._meta.pk
    return instance.pk is None or bool(
        instance._state.adding and key is not None and key.has_default()
    )


def _after_save(
    sender: Model,
    instance: models.Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: Collection[str] | None,
    **_: Any,
) -> None:
    writing = Writing.of_instance(instance)
    if raw or not (writing.captured if writing else settings.enabled):
        return
    taken = writing.taken if writing else ()
    if created:
        publications = _left(asking(sender, "created"), taken)
        if publications:
            [row] = _rows(writing, instance, using, update_fields)
            record(using, publications, [Change("created", row, {}, sender)])
        return
    for view, asked in updated(sender):
        publications = _left(asked, taken)
        if not publications:
            continue
        if view is sender:
            rows = _rows(writing, instance, using, update_fields)
        else:
            rows = list(row_of(instance, view, using))
        changes = [
            Change("updated", row, writing.of(view) if writing else {}, view) for row in rows
        ]
        record(using, publications, changes)


def _rows(
    writing: Writing | None,
    instance: models.Model,
    using: str,
    update_fields: Collection[str] | None,
) -> list[models.Model]:
    if writing is not None and writing.is_as_stored:
        return [instance]
    return stored([instance], using, update_fields)


def _left(asked: list[Publication], taken: Sequence[Publication]) -> list[Publication]:
    """Return those publications whose events the write of the row did not take along."""
    return [found for found in asked if found not in taken] if taken else asked
