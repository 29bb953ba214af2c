"""The events of one request, each checked against its contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from ..conf import settings
from ..events.contract import EventData
from .acceptance import Acceptance, acceptances, open_topics
from .body import escape
from .problems import Invalid, NotPermitted, TopicClosed
from .sender import Sender

LONGEST_KEY = 250
"""Characters: in bytes they always fit what the outbox takes for a key."""

LONGEST_HEADER = 1_000
MOST_HEADERS = 32
HEADER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
RESERVED = ("ce_", "content-type")
"""Names that begin so belong to the envelope."""

_EXACT = 2**53  # from here on a float no longer tells whole numbers apart
_WITHOUT_NUL = r"^[^\x00]*$"
_Name = Annotated[str, Field(pattern=HEADER_NAME)]
_Text = Annotated[str, Field(max_length=LONGEST_HEADER, pattern=_WITHOUT_NUL)]


class _Sent(BaseModel):
    """One event as the sender writes it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    topic: str
    key: Annotated[str, Field(min_length=1, max_length=LONGEST_KEY, pattern=_WITHOUT_NUL)]
    type: Annotated[str, Field(min_length=1)] = ""
    version: Annotated[int, Field(ge=1)] = 0
    data: dict[str, Any]
    headers: Annotated[dict[_Name, _Text], Field(max_length=MOST_HEADERS)] = Field(
        default_factory=dict
    )


class _Body(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    events: Annotated[list[_Sent], Field(min_length=1)]


@dataclass(frozen=True)
class Incoming:
    """One event that may be published."""

    topic: str
    key: str
    data: EventData
    headers: Mapping[str, str]


def unpack(document: Any, sender: Sender) -> list[Incoming]:
    """Return the events of a request, in its order.

    Raises:
        TopicClosed: one of their topics is not open.
        Invalid: one is not what its contract says; all errors are named.
        NotPermitted: the declaration of one does not allow this sender to send it.
    """
    sent = _read(document).events
    closed = [f"#/events/{i}/topic" for i, item in enumerate(sent) if item.topic not in _open()]
    if closed:
        raise TopicClosed(closed, is_any_open=bool(_open()))
    return _accepted(sent, sender)


def _open() -> tuple[str, ...]:
    return open_topics()


def _read(document: Any) -> _Body:
    try:
        body = _Body.model_validate(document)
    except ValidationError as error:
        raise Invalid(list(_places(error, "#"))) from error
    if len(body.events) > settings.gateway_max_events:
        limit = f"more than {settings.gateway_max_events} events (KAFKA_GATEWAY_MAX_EVENTS)"
        raise Invalid([{"pointer": "#/events", "detail": limit}])
    return body


def _accepted(sent: Sequence[_Sent], sender: Sender) -> list[Incoming]:
    found: list[Incoming] = []
    errors: list[dict[str, str]] = []
    refused: list[str] = []
    for i, item in enumerate(sent):
        pointer = f"#/events/{i}"
        try:
            acceptance = _choose(item, pointer)
            data = _validated(acceptance, item, pointer)
        except Invalid as error:
            errors += [dict(place) for place in error.errors]
            continue
        if acceptance.allow is not None and not acceptance.allow(sender, data):
            refused.append(pointer)
        found.append(Incoming(item.topic, item.key, data, item.headers | sender.headers()))
    if errors:
        raise Invalid(errors)
    if refused:
        raise NotPermitted(
            "The sender may not send these events. Their topics' accepts(…, allow=…) decides.",
            errors=[{"pointer": place, "detail": "not allowed"} for place in refused],
        )
    return found


def _choose(item: _Sent, pointer: str) -> Acceptance:
    """Return what stands for an event: its type if it names one, else the topic's only one."""
    known = acceptances.of(item.topic)
    types = sorted({found.event_type for found in known})
    wanted = item.type or (types[0] if len(types) == 1 else "")
    fitting = [found for found in known if found.event_type == wanted]
    if not fitting:
        names = ", ".join(types) or "none: declare accepts(topic, contract) in an events.py"
        raise _wrong(f"{pointer}/type", f"name one of the topic's types: {names}")
    if not item.version:
        return max(fitting, key=lambda found: found.version)
    for found in fitting:
        if found.version == item.version:
            return found
    raise _wrong(f"{pointer}/version", f"{wanted} has no version {item.version}")


def _validated(acceptance: Acceptance, item: _Sent, pointer: str) -> EventData:
    reserved = [name for name in item.headers if name.lower().startswith(RESERVED)]
    if reserved:
        names = f"names that begin with {' or '.join(RESERVED)} belong to the envelope"
        raise _wrong(f"{pointer}/headers/{escape(reserved[0])}", names)
    try:
        # As JSON and strictly: a text is a date or a UUID, and never a number.
        return acceptance.closed.model_validate_json(to_json(_whole(item.data)), strict=True)
    except ValidationError as error:
        raise Invalid(list(_places(error, f"{pointer}/data"))) from error


def _whole(value: Any) -> Any:
    """Return JSON with 7 in place of 7.0: the same number there, and to pydantic no integer."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(found) for name, found in value.items()}
    return [_whole(found) for found in value] if isinstance(value, list) else value


def _wrong(pointer: str, detail: str) -> Invalid:
    return Invalid([{"pointer": pointer, "detail": detail}])


def _places(error: ValidationError, pointer: str) -> Iterator[dict[str, str]]:
    # Without the input, which may be a secret.
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        path = "".join(f"/{escape(str(part))}" for part in found["loc"])
        yield {"pointer": pointer + path, "detail": found["msg"]}
