"""CloudEvents in structured mode: attributes and data together in one JSON object.

Source: CloudEvents 1.0.2, JSON event format; Kafka protocol binding 1.0.2, structured content mode.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UndecodableMessage
from .serialisation import decode

_ANY_FORMAT = "application/cloudevents"
_JSON_FORMAT = "application/cloudevents+json"


@dataclass(frozen=True)
class Structured:
    """What the value of a message in structured mode says.

    Args:
        attributes: the JSON object; empty if it cannot be read.
        problem: why it cannot be read, or None.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    problem: UndecodableMessage | None = None

    @classmethod
    def of(cls, content_type: str | None, value: bytes | None) -> Structured | None:
        """Return the envelope, or None if the content type is not that of structured mode."""
        kind = (content_type or "").partition(";")[0].strip().lower()
        if not kind.startswith(_ANY_FORMAT):
            return None
        try:
            return cls(_envelope(kind, value))
        except UndecodableMessage as error:
            return cls(problem=error)

    def attribute(self, name: str) -> str | None:
        """Return an attribute as the text that a header would have, or None if it is absent."""
        value = self.attributes.get(name)
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, (str, int)) else None

    def data(self) -> Any:
        """Return the event's data: a JSON value; or bytes, where it holds them as base64.

        Raises:
            UndecodableMessage: the envelope cannot be read, or holds no data that can be.
        """
        if self.problem is not None:
            raise self.problem
        if ("data" in self.attributes) == ("data_base64" in self.attributes):
            raise UndecodableMessage(
                "The CloudEvents envelope must hold one of data and data_base64. Send one of them."
            )
        if "data" in self.attributes:
            return self.attributes["data"]
        try:
            return base64.b64decode(self.attributes["data_base64"], validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise UndecodableMessage(f"data_base64 is not base64: {error}.") from error


def _envelope(kind: str, value: bytes | None) -> Mapping[str, Any]:
    if kind != _JSON_FORMAT:
        raise UndecodableMessage(
            f"The message is in CloudEvents' structured mode as {kind[:80]}, and only "
            f"{_JSON_FORMAT} is read. Send that, or binary mode."
        )
    found = decode(value)
    if not isinstance(found, dict):
        raise UndecodableMessage("The CloudEvents envelope is no JSON object.")
    if found.get("specversion") != "1.0":
        said = repr(found.get("specversion"))[:40]
        raise UndecodableMessage(f"The CloudEvents envelope has specversion {said}, not '1.0'.")
    return found
