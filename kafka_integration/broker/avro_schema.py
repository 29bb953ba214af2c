"""The Avro schema of a contract, as its fields' types give it.

Source: Apache Avro 1.11 specification, with its logical types.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from inspect import cleandoc
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ..events.contract import EventData
from .formats import UnusableContract

_NULL = "null"
# In this order: a bool is an int, and a datetime is a date.
_SIMPLE: tuple[tuple[type, Any], ...] = (
    (bool, "boolean"),
    (int, "long"),
    (float, "double"),
    (bytes, "bytes"),
    (datetime, {"type": "long", "logicalType": "timestamp-micros"}),
    (date, {"type": "int", "logicalType": "date"}),
    (time, {"type": "long", "logicalType": "time-micros"}),
    (UUID, {"type": "string", "logicalType": "uuid"}),
    (str, "string"),
)


def avro_schema(contract: type[EventData]) -> Any:
    """Return the schema of a contract: its own ``avro_schema``, else one made of its fields.

    Raises:
        UnusableContract: a field's type has no Avro schema.
    """
    return contract.avro_schema or _Deriving(contract.__name__).record(contract)


class _Deriving:
    """One contract's schema in the making: Avro writes a named type once, and then its name."""

    def __init__(self, contract: str) -> None:
        self._contract = contract
        self._named: dict[str, type] = {}

    def record(self, model: type[BaseModel]) -> Any:
        """Return the record of a model, or its name if it was written before."""
        name = model.__name__
        if self._named.get(name) is model:
            return name
        if name in self._named:
            raise UnusableContract(
                f"Contract {self._contract} holds two models named {name}, and Avro knows types by "
                "their names. Rename one, or give the contract an avro_schema."
            )
        self._named[name] = model
        fields = [self._field(field, info) for field, info in model.model_fields.items()]
        record = {"type": "record", "name": name, "fields": fields}
        doc = vars(model).get("__doc__")
        return {**record, "doc": cleandoc(doc)} if doc else record

    def _field(self, name: str, info: FieldInfo) -> dict[str, Any]:
        schema = self._type(info.annotation, name, info)
        if isinstance(schema, list):
            # A union's default must be of its first branch.
            schema.sort(key=lambda part: (part == _NULL) is not (info.default is None))
        found: dict[str, Any] = {"name": name, "type": schema}
        if info.description:
            found["doc"] = info.description
        return found if info.is_required() else {**found, **_default(schema, info)}

    def _type(self, annotation: Any, field: str, info: Sequence[Any] | FieldInfo) -> Any:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):
            return [self._type(part, field, info) for part in arguments]
        if hasattr(annotation, "__metadata__"):
            return self._type(arguments[0], field, annotation.__metadata__)
        if origin is Literal and all(isinstance(value, str) for value in arguments):
            return "string"
        if isinstance(origin, type) and arguments:
            return self._container(origin, arguments, field)
        return self._plain(annotation, field, info)

    def _container(self, origin: type, arguments: tuple[Any, ...], field: str) -> Any:
        if issubclass(origin, Mapping) and arguments[0] is str:
            return {"type": "map", "values": self._type(arguments[1], field, ())}
        if issubclass(origin, (Sequence, Set)) and len(set(arguments) - {...}) == 1:
            return {"type": "array", "items": self._type(arguments[0], field, ())}
        raise self._unknown(field)

    def _plain(self, annotation: Any, field: str, info: Sequence[Any] | FieldInfo) -> Any:
        if annotation is None or annotation is type(None):
            return _NULL
        if not isinstance(annotation, type):
            raise self._unknown(field)
        if issubclass(annotation, BaseModel):
            return self.record(annotation)
        if issubclass(annotation, Decimal):
            return self._decimal(field, info)
        if issubclass(annotation, Enum) and not issubclass(annotation, str):
            raise self._unknown(field)
        for known, schema in _SIMPLE:
            if issubclass(annotation, known):
                return schema
        raise self._unknown(field)

    def _decimal(self, field: str, info: Sequence[Any] | FieldInfo) -> Any:
        constraints = info.metadata if isinstance(info, FieldInfo) else info
        digits = _constraint(constraints, "max_digits")
        places = _constraint(constraints, "decimal_places")
        if digits is None or places is None:
            raise UnusableContract(
                f"Field {field} of contract {self._contract} is a Decimal, and Avro must know its "
                "size. Declare it as Annotated[Decimal, Field(max_digits=12, decimal_places=2)]."
            )
        logical = {"logicalType": "decimal", "precision": digits, "scale": places}
        return {"type": "bytes", **logical}

    def _unknown(self, field: str) -> UnusableContract:
        return UnusableContract(
            f"Field {field} of contract {self._contract} has a type that no Avro schema is known "
            "for. Give the contract a schema of its own: avro_schema = {…}."
        )


def _default(schema: Any, info: FieldInfo) -> dict[str, Any]:
    """Return the field's default, so that readers of it can read what was written before it.

    A default that Avro writes in another way than Python is left out.
    """
    first = schema[0] if isinstance(schema, list) else schema
    kind = first["type"] if isinstance(first, dict) and "logicalType" not in first else first
    value = info.default
    if kind == "array" and (info.default_factory in _EMPTY or value in ((), [], set())):
        return {"default": []}
    if kind == "map" and (info.default_factory is dict or value == {}):
        return {"default": {}}
    is_plain = isinstance(kind, str) and type(value) in _PLAIN.get(kind, ())
    return {"default": value} if is_plain else {}


_EMPTY: tuple[Any, ...] = (list, set, tuple, frozenset)
_PLAIN: Mapping[str, tuple[type, ...]] = {
    _NULL: (type(None),),
    "string": (str,),
    "long": (int,),
    "double": (float, int),
    "boolean": (bool,),
}


def _constraint(metadata: Sequence[Any], name: str) -> int | None:
    for found in metadata:
        for part in (found, *getattr(found, "metadata", ())):
            value = getattr(part, name, None)
            if isinstance(value, int):
                return value
    return None
