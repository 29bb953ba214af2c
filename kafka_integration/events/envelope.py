"""The CloudEvents envelope: which headers travel with an event, and what a reader makes of them.

Source: CloudEvents 1.0.2, Kafka protocol binding 1.0.2, binary content mode; the ``sequence``
extension for order. What comes in structured mode is read as if its attributes were headers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from .structured import Structured

D = TypeVar("D")

Headers = list[tuple[str, bytes]]
"""Headers as they are on the wire: names may repeat, values are bytes."""

JSON = "application/json"

_PREFIX = "ce_"


@dataclass(frozen=True)
class Message:
    """One record as it came from Kafka, still bytes.

    Args:
        topic, partition, offset: where it stood.
        key: the key's bytes, or None.
        value: the value's bytes, or None for a tombstone.
        headers: the headers, in order.
        timestamp: milliseconds since 1970, or None where the broker gave none.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)
    timestamp: int | None = None

    def header(self, name: str) -> str | None:
        """Return the last header of that name as text, or None if absent or not UTF-8.

        In structured mode, an attribute counts as the header that it would be in binary mode.
        """
        for found, value in reversed(self.headers):
            if found == name:
                return _text(value)
        if name.startswith(_PREFIX) and self.structured is not None:
            return self.structured.attribute(name.removeprefix(_PREFIX))
        return None

    def outline(self) -> Message:
        """Return it without its value and headers: enough to know its place and its key."""
        return replace(self, value=None, headers=[])

    @cached_property
    def structured(self) -> Structured | None:
        """The envelope of a message in structured mode; None in binary mode and for bare ones."""
        return Structured.of(self.header("content-type"), self.value)

    def place(self) -> str:
        """Return topic, partition and offset as one readable word."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True)
class Event(Generic[D]):
    """What a handler receives.

    Args:
        data: the validated contract.
        id, source, type: CloudEvents attributes; together ``source`` and ``id`` name one event.
        version: the contract's version; the sender's, if an upcast made the data, stands in the
            message's header ``ce_dataversion``.
        time: when it happened, or None if the sender did not say.
        key: the key as text, or None.
        message: the record it came from, with topic, partition, offset and raw headers.
    """

    data: D
    id: str
    source: str
    type: str
    version: int
    time: datetime | None
    key: str | None
    message: Message


@dataclass(frozen=True)
class Attributes:
    """The CloudEvents attributes of a received message; None where the sender gave none."""

    id: str | None
    source: str | None
    type: str | None
    version: int | None
    time: datetime | None

    @classmethod
    def of(cls, message: Message) -> Attributes:
        """Read the attributes, in either mode; what cannot be read counts as absent."""
        return cls(
            id=message.header("ce_id") or None,
            source=message.header("ce_source") or None,
            type=message.header("ce_type") or None,
            version=_version(message.header("ce_dataversion")),
            time=_time(message.header("ce_time")),
        )


def headers_for(
    *,
    type: str,
    version: int,
    id: str,
    source: str,
    time: datetime,
    subject: str = "",
    extra: Mapping[str, str] | None = None,
    content_type: str = JSON,
) -> dict[str, str]:
    """Return the headers of an event about to be published.

    Args:
        id: unique within ``source``.
        subject: what it is about, such as ``campaigns.Campaign/42``.
        type, version, source, time, extra, content_type: see :func:`shared_headers`.
    """
    shared = shared_headers(
        type=type,
        version=version,
        source=source,
        time=time,
        extra=extra,
        content_type=content_type,
    )
    return shared | own_headers(id, subject)


def shared_headers(
    *,
    type: str,
    version: int,
    source: str,
    time: datetime,
    extra: Mapping[str, str] | None = None,
    content_type: str = JSON,
) -> dict[str, str]:
    """Return the headers that all events of one type have which happened at one time.

    Args:
        type: the CloudEvents type.
        version: the contract's version.
        source: URI reference of the application.
        time: when it happened; aware.
        extra: further headers of the caller; they cannot replace those of the envelope.
        content_type: what the values are.
    """
    headers = {name: text for name, text in (extra or {}).items() if name not in OWN}
    return headers | {
        "ce_specversion": "1.0",
        "ce_source": source,
        "ce_type": type,
        "ce_time": _wire_time(time),
        "ce_dataversion": str(version),
        "content-type": content_type,
    }


OWN = ("ce_id", "ce_subject")
"""The headers that no two events share."""


def own_headers(id: str, subject: str) -> dict[str, str]:
    """Return an event's id and, if there is one, its subject, as headers."""
    return dict(zip(OWN, (id, subject), strict=True)) if subject else {OWN[0]: id}


@lru_cache(maxsize=8)  # the events of one statement happened at one time
def _wire_time(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def sequence(position: int) -> str:
    """Return a position as a ``ce_sequence``: text that sorts as the numbers do."""
    return f"{position:019d}"


def headers_to_json(headers: Iterable[tuple[str, bytes]]) -> list[list[Any]]:
    """Return headers in a form that a JSON column keeps without loss.

    Text stays text. Bytes that are no UTF-8, or hold a NUL, which PostgreSQL's jsonb cannot
    store, become ``{"base64": …}``. A null value, which Kafka allows, becomes null.
    """
    return [[name.replace("\x00", "�"), _to_json(value)] for name, value in headers]


def headers_from_json(stored: Iterable[Iterable[Any]]) -> Headers:
    """Return the headers that :func:`headers_to_json` stored."""
    return [(name, _from_json(value)) for name, value in stored]


def _to_json(value: bytes | None) -> Any:
    if value is None:
        return None
    text = _text(value)
    if text is None or "\x00" in text:
        return {"base64": base64.b64encode(value).decode("ascii")}
    return text


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return value if value is None else value.encode()


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _version(text: str | None) -> int | None:
    # Longer numbers are no version, and Python refuses to convert those of 4,300 digits.
    return int(text) if text and text.isdecimal() and len(text) < 10 else None


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
    except ValueError:
        return None
