"""A payload's JSON schema as rows for a table: one a field, nested ones below their parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_REF = "#/components/schemas/"


@dataclass(frozen=True)
class Field:
    """One row.

    Args:
        path: the field's name, after those that it lies in: ``address.street``, ``lines[].price``.
        type: what its value looks like, in words.
        is_required: whether it must be there.
        description: what the contract says of it.
    """

    path: str
    type: str
    is_required: bool
    description: str


def fields_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[Field]:
    """Return the rows of a payload.

    Args:
        schema: the payload's schema; its references are resolved in ``schemas``.
        schemas: the document's schemas by name.
    """
    return list(_rows(schema, schemas, "", ()))


def _rows(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], prefix: str, seen: tuple[str, ...]
) -> Iterator[Field]:
    name, found = _resolved(schema, schemas)
    if name in seen:
        return  # a contract that holds itself
    seen = (*seen, name) if name else seen
    required = found.get("required", ())
    for field, part in found.get("properties", {}).items():
        path = f"{prefix}{field}"
        yield Field(path, type_in_words(part, schemas), field in required, _description(part))
        inner, ending = _inner(part)
        for option in inner:
            yield from _rows(option, schemas, f"{path}{ending}.", seen)


def type_in_words(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """Return what a value of this schema looks like, such as ``list of text (uuid)``."""
    _, found = _resolved(schema, schemas)
    options = found.get("anyOf") or found.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(type_in_words(option, schemas) for option in options))
    if "const" in found:
        return f"always {found['const']!r}"
    if "enum" in found:
        return "one of " + ", ".join(repr(value) for value in found["enum"])
    kind = str(found.get("type", "anything"))
    if kind == "array":
        return f"list of {type_in_words(found.get('items', {}), schemas)}"
    return f"{kind} ({found['format']})" if "format" in found else kind


def _inner(part: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str]:
    """Return the schemas that lie in a field, and what its path ends in for them."""
    if part.get("type") == "array":
        return [part.get("items", {})], "[]"
    return [part, *part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())], ""


def _resolved(
    schema: Mapping[str, Any], schemas: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    name = str(schema.get("$ref", "")).removeprefix(_REF)
    return name, schemas.get(name, {}) if name else schema


def _description(part: Mapping[str, Any]) -> str:
    return str(part.get("description", ""))
