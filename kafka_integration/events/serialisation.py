"""Bytes on the wire from values, and back: JSON, the one format so far."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

from pydantic_core import to_json

from ..errors import UndecodableMessage

_LONGEST_INTEGER = 4_000


def encode(value: Any) -> bytes:
    """Return a value as JSON; UUID, datetime, Decimal and the like become text as in pydantic.

    Raises:
        pydantic_core.PydanticSerializationError: a part of the value has no JSON form.
    """
    return to_json(value, inf_nan_mode="null")


def decode(value: bytes | None) -> Any:
    """Return what JSON bytes say. All that RFC 8259 allows is taken, a byte order mark too.

    Raises:
        UndecodableMessage: they are absent, not UTF-8, not JSON, or nested too deep for Python.
    """
    if value is None:
        raise UndecodableMessage(
            "The message has a null value where JSON is due. Send tombstones only to topics whose "
            "readers expect them."
        )
    try:
        return _DECODER.decode(value.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UndecodableMessage(f"The value is not UTF-8: {_position(error)}.") from error
    except RecursionError as error:
        raise UndecodableMessage("The value is JSON nested deeper than Python can read.") from error
    except ValueError as error:
        raise UndecodableMessage(f"The value is not JSON: {error}.") from error


def _position(error: UnicodeDecodeError) -> str:
    return f"{error.reason} at byte {error.start}"


def _integer(text: str) -> int | Decimal:
    # Python refuses to convert integers of more than 4,300 digits; JSON has no such limit.
    return int(text) if len(text) <= _LONGEST_INTEGER else Decimal(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse)
