"""What an event's data looks like: a pydantic model, built from a Django model's instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import FieldDoesNotExist
from pydantic import BaseModel, ConfigDict
from typing_extensions import Self

from ..errors import ContractMismatch, NotAContract, NotAnEvent
from .conditions import Change

PREVIOUS = "previous_"
_MISSING = object()


class EventData(BaseModel):
    """Base of all contracts. Fields are what is published and what a handler may rely on.

    A field is filled from the attribute of the same name. ``<model>_id`` (``campaign_id`` for the
    model Campaign) is the primary key, and ``previous_<field>`` is the value before an update.
    Override :meth:`from_instance` where that is not enough.

    Class attributes:
        event_type: the CloudEvents ``type``; by default the class's name.
        event_version: raise it when readers of the old contract would break.
        avro_schema: the schema for topics in Avro, as a dict; by default made of the fields.
        protobuf_message: for topics in Protobuf, the message class that ``protoc`` generated.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_type: ClassVar[str] = ""
    event_version: ClassVar[int] = 1
    avro_schema: ClassVar[Mapping[str, Any] | None] = None
    protobuf_message: ClassVar[Any] = None

    @classmethod
    def type_name(cls) -> str:
        """Return the CloudEvents ``type`` of this contract's events."""
        return cls.event_type or cls.__name__

    @classmethod
    def from_instance(cls, change: Change) -> Self:
        """Build the data of one event from what happened to a row.

        Raises:
            ContractMismatch: the model has no attribute for one of the fields.
            pydantic.ValidationError: a value does not fit its field.
        """
        present, missing = {}, []
        instance = change.instance
        for name, field in cls.model_fields.items():
            value = getattr(instance, name, _MISSING)
            if value is _MISSING:
                value = _derived(change, name)
            if value is not _MISSING:
                present[name] = value
            elif field.is_required():
                missing.append(name)
        if missing:
            raise ContractMismatch(cls.__name__, change.instance._meta.label, missing)
        return cls.model_validate(present, from_attributes=True)


def require_contract(found: object, declaration: str) -> None:
    """Check that ``found`` is a contract.

    Args:
        found: what was given as one.
        declaration: where, for the message: ``publishes(Campaign, …)``.

    Raises:
        NotAContract: it is none.
    """
    if not (isinstance(found, type) and issubclass(found, EventData) and found is not EventData):
        raise NotAContract(declaration, found)


def require_event(found: object) -> None:
    """Check that ``found`` is an event's data.

    Raises:
        NotAnEvent: it is not.
    """
    if not isinstance(found, EventData):
        raise NotAnEvent(found)


def previous_fields(contract: type[EventData]) -> tuple[str, ...]:
    """Return the fields whose old values the contract publishes."""
    return tuple(
        name.removeprefix(PREVIOUS) for name in contract.model_fields if name.startswith(PREVIOUS)
    )


def missing_fields(contract: type[EventData], model: type[Any]) -> list[str]:
    """Return the required fields of ``contract`` that ``model`` has nothing for.

    A contract with a ``from_instance`` of its own is trusted to know what it does.
    """
    if not is_filled_by_name(contract):
        return []
    return [
        name
        for name, field in contract.model_fields.items()
        if field.is_required() and not _available(model, name)
    ]


def is_filled_by_name(contract: type[EventData]) -> bool:
    """Tell whether the contract is filled by :class:`EventData`'s own rules, by name."""
    own = EventData.from_instance.__func__  # type: ignore[attr-defined]  # a bound classmethod has __func__
    return contract.from_instance.__func__ is own  # type: ignore[attr-defined]  # likewise


def _available(model: type[Any], name: str) -> bool:
    if name == _own_id(model) or hasattr(model, name):
        return True
    return name.startswith(PREVIOUS) and hasattr(model, name.removeprefix(PREVIOUS))


def _derived(change: Change, name: str) -> Any:
    if name == _own_id(change.publisher):
        return change.pk
    if name.startswith(PREVIOUS):
        return _previous(change, name.removeprefix(PREVIOUS))
    return _MISSING


def _previous(change: Change, field: str) -> Any:
    try:
        attname = change.instance._meta.get_field(field).attname
    except FieldDoesNotExist:
        attname = field
    return change.before.get(attname, _MISSING)


def _own_id(model: type[Any]) -> str:
    return f"{model._meta.model_name}_id"
