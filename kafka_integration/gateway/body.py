"""From the bytes of a request to JSON that can be kept as it came."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from ..conf import settings
from ..errors import UndecodableMessage
from ..events.serialisation import decode
from .problems import Invalid, Malformed, TooLarge, WrongMediaType

DEEPEST = 64
"""Levels that JSON may be nested."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def require_json(request: HttpRequest) -> None:
    """Make sure that the body is declared to be JSON.

    It comes before the check for CSRF, which would read a form.

    Raises:
        WrongMediaType: it is not.
    """
    if request.content_type != "application/json":
        raise WrongMediaType(request.content_type or "")


def read(request: HttpRequest) -> bytes:
    """Return the body.

    Raises:
        TooLarge: it has more bytes than ``KAFKA_GATEWAY_MAX_BYTES``.
        Malformed: the client went away in the middle of it.
    """
    limit = settings.gateway_max_bytes
    if _declared(request) > limit:
        raise _too_large(limit)
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise _too_large(limit) from error
    except UnreadablePostError as error:
        raise Malformed("The body ended before its end. Send it again.") from error
    if len(body) > limit:
        raise _too_large(limit)
    return body


def parse(body: bytes) -> Any:
    """Return what the body says.

    Raises:
        Malformed: it is no JSON.
        Invalid: it holds what is no Unicode text, or a number or a depth that cannot be kept.
    """
    try:
        document = decode(body)
    except UndecodableMessage as error:
        raise Malformed(str(error).replace("The value", "The body")) from error
    errors = list(_unkeepable(document))
    if errors:
        raise Invalid(errors)
    return document


def _declared(request: HttpRequest) -> int:
    text = request.headers.get("Content-Length") or "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body has more than {limit:,} bytes (KAFKA_GATEWAY_MAX_BYTES). Send fewer events at "
        "a time, or a reference to large data in its place."
    )


def _unkeepable(document: Any) -> Iterator[dict[str, str]]:
    """Yield what would come out otherwise than it went in, or not at all."""
    left = [(document, "#", 0)]
    while left:
        value, pointer, depth = left.pop()
        reason = _reason(value, depth)
        if reason:
            yield {"pointer": pointer, "detail": reason}
        elif isinstance(value, dict):
            for name, found in value.items():
                if _SURROGATE.search(name):
                    yield {"pointer": pointer, "detail": "a name holds half a character"}
                else:
                    left.append((found, f"{pointer}/{escape(name)}", depth + 1))
        elif isinstance(value, list):
            left += [(found, f"{pointer}/{i}", depth + 1) for i, found in enumerate(value)]


def _reason(value: Any, depth: int) -> str:
    if depth > DEEPEST:
        return f"nested deeper than {DEEPEST} levels"
    if isinstance(value, str) and _SURROGATE.search(value):
        return "holds half a character (a lone surrogate)"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number too large to keep"
    return ""


def escape(name: str) -> str:
    """Return a member's name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
