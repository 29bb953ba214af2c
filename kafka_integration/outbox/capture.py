"""From a saved model to the outbox, inside the model's own transaction.

Django's signals say what happens; the row itself, never the instance's memory, says what was
there before. A bare ``save()`` commits before ``post_save`` is sent, so ``save_base`` of every
publishing model runs inside ``atomic``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connections, models, router, transaction
from django.db.models.signals import post_save, pre_delete, pre_save
from django.utils import timezone
from uuid_utils.compat import uuid7

from ..conf import settings
from ..errors import NotInTransaction
from ..events.catalogue import check_catalogued
from ..events.conditions import Change, Kind
from ..events.contract import EventData, require_event
from ..events.envelope import headers_for
from ..events.registry import Publication, registry
from ..events.topics import check_event_topic
from .store import NewEvent, append, lock_keys

_BEFORE = "kafka_before"
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
    new = _new_event(event, topic, str(key), extra=headers, available_at=available_at)
    if settings.enabled:
        lock_keys(using, [new])
        append(using, [new])
    return new.event_id


def connect() -> None:
    """Start capturing for every model that is declared by now; calling it again does no harm."""
    for model in apps.get_models(include_auto_created=True):
        if registry.publications_of(model):
            _wire(model)


def _wire(model: type[models.Model]) -> None:
    uid = f"kafka_integration:{model._meta.label}"
    pre_save.connect(_before_save, sender=model, dispatch_uid=uid)
    post_save.connect(_after_save, sender=model, dispatch_uid=uid)
    pre_delete.connect(_before_delete, sender=model, dispatch_uid=uid)
    if not hasattr(model.save_base, _WRAPPED):
        model.save_base = _atomic(model.save_base)  # type: ignore[method-assign]  # the one hook that runs before save commits


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
        # Without a savepoint, so that an error in capture rolls the caller's transaction back.
        with transaction.atomic(using=alias, savepoint=False):
            original(self, raw, force_insert, force_update, alias, update_fields)

    setattr(save_base, _WRAPPED, True)
    return save_base


def _before_save(
    sender: type[models.Model], instance: models.Model, raw: bool, using: str, **_: Any
) -> None:
    instance.__dict__.pop(_BEFORE, None)
    if raw or not settings.enabled or _is_surely_new(instance):
        return
    fields = _old_fields(sender)
    if fields:
        row = _locked(instance, using).values(*fields).first()
        instance.__dict__[_BEFORE] = row or {}


def _after_save(
    sender: type[models.Model],
    instance: models.Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: Collection[str] | None,
    **_: Any,
) -> None:
    before = instance.__dict__.pop(_BEFORE, {})
    kind: Kind = "created" if created else "updated"
    publications = _asking_for(sender, kind)
    if raw or not settings.enabled or not publications:
        return
    row = _row_after(instance, using, update_fields)
    _capture(publications, Change(kind, row, before), using)


def _before_delete(
    sender: type[models.Model], instance: models.Model, using: str, **_: Any
) -> None:
    publications = _asking_for(sender, "deleted")
    if not settings.enabled or not publications:
        return
    row = _locked(instance, using).first()
    if row is not None:
        _capture(publications, Change("deleted", row, {}), using)


def _capture(publications: Iterable[Publication], change: Change, using: str) -> None:
    matching = [found for found in publications if found.when.matches(change)]
    events = [_event_of(publication, change) for publication in matching]
    by_own_key = [
        event for event, found in zip(events, matching, strict=True) if found.key is not None
    ]
    if by_own_key:
        lock_keys(using, by_own_key)
    append(using, events)


def _event_of(publication: Publication, change: Change) -> NewEvent:
    instance = change.instance
    data = publication.contract.from_instance(change)
    subject = f"{instance._meta.label}/{instance.pk}"
    return _new_event(data, publication.topic, publication.key_for(instance), subject=subject)


def _new_event(
    data: EventData,
    topic: str,
    key: str,
    *,
    subject: str = "",
    extra: Mapping[str, str] | None = None,
    available_at: datetime | None = None,
) -> NewEvent:
    event_id, now = uuid7(), timezone.now()
    headers = headers_for(
        type=data.type_name(),
        version=data.event_version,
        id=str(event_id),
        source=settings.source,
        time=timezone.make_aware(now) if timezone.is_naive(now) else now,
        subject=subject,
        extra=extra,
    )
    value = data.model_dump_json().encode()
    return NewEvent(event_id, topic, key, value, headers, now, available_at)


def _asking_for(model: type[models.Model], kind: Kind) -> list[Publication]:
    return [found for found in registry.publications_of(model) if kind in found.when.kinds]


def _old_fields(model: type[models.Model]) -> list[str]:
    wanted = {name for found in _asking_for(model, "updated") for name in found.old_fields()}
    return [
        field.attname
        for field in model._meta.concrete_fields
        if {field.name, field.attname} & wanted
    ]


def _is_surely_new(instance: models.Model) -> bool:
    # Django inserts such an instance without trying an UPDATE first.
    key = instance._meta.pk
    return instance.pk is None or bool(
        instance._state.adding and key is not None and key.has_default()
    )


def _locked(instance: models.Model, using: str) -> models.QuerySet[Any]:
    manager = type(instance)._base_manager
    return manager.using(using).select_for_update().filter(pk=instance.pk)


def _row_after(
    instance: models.Model, using: str, update_fields: Collection[str] | None
) -> models.Model:
    """Return an instance that holds the row as it is now; the caller's is never changed.

    The caller's instance is as good as the row unless some columns were not written from it, or
    the database stored something else than what it holds.
    """
    if update_fields is None and all(
        _is_stored_as_is(instance, field) for field in instance._meta.concrete_fields
    ):
        return instance
    return type(instance)._base_manager.using(using).get(pk=instance.pk)


def _is_stored_as_is(instance: models.Model, field: models.Field[Any, Any]) -> bool:
    if getattr(field, "generated", False) or field.attname not in instance.__dict__:
        return False
    value = instance.__dict__[field.attname]
    if value is None:
        return True
    if hasattr(value, "resolve_expression"):
        return False
    if isinstance(field, models.DecimalField):
        return isinstance(value, Decimal) and value == round(value, field.decimal_places)
    return type(field.to_python(value)) is type(value)
