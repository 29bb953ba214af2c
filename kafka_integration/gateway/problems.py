"""What the gateway refuses, and why, as problem details (RFC 9457).

::

    Problem
    ├── Malformed          400  the body or a header cannot be read
    ├── NotSignedIn        401  neither a session nor a token that is known
    ├── Forged             403  a session without its CSRF token
    ├── NotPermitted       403  the sender may not do this
    ├── TopicClosed        403  the topic is not on the list
    ├── MethodNotAllowed   405
    ├── TooLarge           413  the body, or an event for Kafka
    ├── WrongMediaType     415
    ├── Invalid            422  an event breaks its contract
    ├── KeyReused          422  the idempotency key came with another body before
    ├── TooMany            429  more events than the sender's allowance
    └── Unavailable        503  not now; nothing was written
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ..errors import KafkaIntegrationError

MEDIA_TYPE = "application/problem+json"


class Problem(KafkaIntegrationError):
    """Raised when a request is refused; nothing of it was written.

    Args:
        detail: what is wrong with this request, and the cure.
        errors: the places in the body that are wrong, as ``pointer`` and ``detail``.
        headers: of the answer.
    """

    status: ClassVar[int] = 400
    name: ClassVar[str] = "problem"
    title: ClassVar[str] = "The request was refused"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        super().__init__(detail)

    def document(self) -> dict[str, Any]:
        """Return the problem details, members as RFC 9457 names them."""
        found: dict[str, Any] = {
            "type": f"urn:kafka-gateway:{self.name}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return found | ({"errors": list(self.errors)} if self.errors else {})


class Malformed(Problem):
    """Raised when the body is no JSON, or a header cannot be read."""

    name, title = "malformed", "The request cannot be read"


class NotSignedIn(Problem):
    """Raised when a request comes with neither a signed-in session nor a known token."""

    status, name, title = 401, "not-signed-in", "Nobody is signed in"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="kafka-gateway"'})


class Forged(Problem):
    """Raised when a request with a session lacks the CSRF token that belongs to it."""

    status, name, title = 403, "csrf", "The CSRF token is missing or wrong"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason.rstrip('.')}. Ask the gateway's 'session' for a token and send it as the "
            "header X-CSRFToken, from the same site."
        )


class NotPermitted(Problem):
    """Raised when the sender may send no events, or not this one."""

    status, name, title = 403, "not-permitted", "The sender may not do this"


class TopicClosed(Problem):
    """Raised when an event is for a topic that is not open to the gateway."""

    status, name, title = 403, "topic-closed", "The topic is not open to the gateway"

    def __init__(self, pointers: Iterable[str], is_any_open: bool) -> None:
        self.is_any_open = is_any_open
        self.pointers = tuple(pointers)
        some = "The topics of these events are not open to the gateway."
        none = "No topic is open to the gateway."
        super().__init__(
            f"{some if is_any_open else none} The setting KAFKA_GATEWAY_TOPICS lists those that "
            "are.",
            errors=[{"pointer": found, "detail": "not open"} for found in self.pointers],
        )


class MethodNotAllowed(Problem):
    """Raised when an address is asked with a method that it does not have."""

    status, name, title = 405, "method-not-allowed", "The method is not allowed"

    def __init__(self, allowed: str) -> None:
        self.allowed = allowed
        super().__init__(f"Use {allowed}.", headers={"Allow": allowed})


class TooLarge(Problem):
    """Raised when a body has more bytes than is taken, or an event more than Kafka takes."""

    status, name, title = 413, "too-large", "The request is too large"


class WrongMediaType(Problem):
    """Raised when the body is declared to be anything but JSON."""

    status, name, title = 415, "wrong-media-type", "The body is not declared to be JSON"

    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(
            "Send the header Content-Type: application/json.",
            headers={"Accept": "application/json"},
        )


class Invalid(Problem):
    """Raised when the body is JSON, and not what the contracts say."""

    status, name, title = 422, "invalid", "The events are not what their contracts say"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        super().__init__(
            "Nothing was written, of none of the events. Correct what 'errors' points to.",
            errors=errors,
        )


class KeyReused(Problem):
    """Raised when an idempotency key comes again, with another body."""

    status, name, title = 422, "key-reused", "The idempotency key belongs to another request"

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            "This Idempotency-Key came before with another body. Send a new key for new events, "
            "and the same body for the same key."
        )


class TooMany(Problem):
    """Raised when a sender has used up what it may send in a minute."""

    status, name, title = 429, "too-many", "Too many events in a minute"

    def __init__(self, limit: int, seconds: int) -> None:
        self.limit = limit
        self.seconds = seconds
        super().__init__(
            f"A sender may send {limit} events a minute (KAFKA_GATEWAY_EVENTS_PER_MINUTE). Try "
            f"again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )


class Unavailable(Problem):
    """Raised when events cannot be taken now; nothing was written."""

    status, name, title = 503, "unavailable", "Events cannot be taken now"

    def __init__(self, detail: str, seconds: int = 5) -> None:
        self.seconds = seconds
        super().__init__(detail, headers={"Retry-After": str(seconds)})
