"""Events that are stored by the very statement that writes their row: one round trip for both.

What goes along is known before the row is written: a payload made of the row's own columns by the
contract's usual rules, a key that is the primary key, and a condition that needs no Python, or
one that the database can answer. All else is recorded after the write, as everything was before.

The event takes its place in the queue when the row is written and locked: the server's function
that stores it is called on what the write returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from ..conf import settings
from ..events.conditions import Change, Kind
from ..events.contract import PREVIOUS, is_filled_by_name
from ..events.registry import Publication
from . import function
from .drafts import drafted
from .insert import function_call
from .lineage import Model, asking, once
from .new_event import check
from .rows import is_as_stored

# Types whose values PostgreSQL can compare. Whether it agrees with Python does not matter much:
# Python has the last word, and records what the database left out.
_COMPARABLE = {
    models.BigIntegerField,
    models.BooleanField,
    models.CharField,
    models.DateField,
    models.DateTimeField,
    models.DecimalField,
    models.ForeignKey,
    models.IntegerField,
    models.OneToOneField,
    models.PositiveBigIntegerField,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
    models.SlugField,
    models.SmallIntegerField,
    models.TextField,
    models.URLField,
    models.UUIDField,
}


@dataclass(frozen=True)
class Joint:
    """Events that may go along with the write of one row.

    Args:
        publications: whose events they are.
        calls: for each of them the SQL that stores it.
        params: the parameters of all calls.
    """

    publications: Sequence[Publication]
    calls: Sequence[str]
    params: Sequence[Any]


def joint(instance: models.Model, kind: Kind, using: str) -> Joint | None:
    """Return the events that the write of ``instance`` can take along, or None.

    Args:
        instance: what is about to be written, with all its columns, and with the values that the
            statement writes.
        kind: created or updated.
        using: alias of a PostgreSQL database with an open connection.

    Raises:
        PublishError: an event could never be sent.
        pydantic.ValidationError: a value does not fit the contract.
    """
    publications = joinable(type(instance), kind)
    if not publications or not function.is_usable(using) or not is_as_stored(instance):
        return None
    events = drafted(publications, Change(kind, instance, {}, type(instance)))
    check(events, settings.max_message_bytes)
    calls, params = [], []
    for event in events:
        call, values = function_call(using, event)
        calls.append(call)
        params += values
    return Joint(publications, calls, params)


@once
def joinable(model: Model, kind: Kind) -> list[Publication]:
    """Return the publications whose events can go along with the write of a row of ``model``."""
    options: Any = model._meta
    if options.concrete_model._meta.parents:
        return []  # the row stands in several tables, each with a statement of its own
    return [found for found in asking(model, kind) if _goes_along(found, model, kind)]


def comparable(model: Model) -> Mapping[str, str]:
    """Return the columns that PostgreSQL can compare, by attribute name."""
    fields = model._meta.concrete_fields
    return {field.attname: str(field.column) for field in fields if type(field) in _COMPARABLE}


def _goes_along(publication: Publication, model: Model, kind: Kind) -> bool:
    when = publication.when
    answered = when.test is None or (kind == "updated" and when.is_change)
    options: Any = model._meta
    names = [options.get_field(field).attname for field in when.fields]
    return (
        answered
        and publication.key is None
        and set(names) <= comparable(model).keys()
        and is_filled_by_name(publication.contract)
        and all(
            _is_column(owner, name)
            for name in publication.contract.model_fields
            for owner in (model, publication.model)
        )
    )


def _is_column(model: Model, name: str) -> bool:
    """Tell whether a contract's field is a column, or none of the model's attributes at all.

    Anything else, a relation or a property, might look into the database.
    """
    if name.startswith(PREVIOUS):
        return False
    found = getattr(model, name, None)
    return found is None or isinstance(found, DeferredAttribute)
