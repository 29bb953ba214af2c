"""Who sends: a signed-in user with the session's CSRF token, or the holder of a token."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from ..conf import settings
from .problems import Forged, NotPermitted, NotSignedIn

PERMISSION = "kafka_integration.send_events"


@dataclass(frozen=True)
class Sender:
    """Whoever sends events.

    Args:
        kind: how it proved who it is.
        name: the user's primary key, or the token's name.
        user: Django's user; None for a token.
    """

    kind: Literal["user", "token"]
    name: str
    user: Any = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def headers(self) -> dict[str, str]:
        """Return CloudEvents' "auth context" extension, so that readers can tell who sent it."""
        kind = "app_user" if self.kind == "user" else "api_key"
        return {"ce_authtype": kind, "ce_authid": self.name}


def identify(request: HttpRequest) -> Sender:
    """Return who sends a request, and make sure that it may.

    A request with an ``Authorization`` header is judged by that alone, so that a wrong token is
    never helped by a session.

    Raises:
        NotSignedIn: there is neither a known token nor a signed-in user.
        NotPermitted: the user lacks the permission.
        Forged: the session's CSRF token is missing.
    """
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        return _holder(authorization)
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        raise NotSignedIn("Sign in, or send the header Authorization: Bearer <token>.")
    _require_same_site(request)
    if not user.has_perm(PERMISSION):
        raise NotPermitted(f"The user lacks the permission {PERMISSION}.")
    return Sender("user", str(user.pk), user)


def digest(token: str) -> str:
    """Return what the setting ``KAFKA_GATEWAY_TOKENS`` keeps of a token: its SHA-256, in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _holder(authorization: str) -> Sender:
    scheme, _, token = authorization.partition(" ")
    found = digest(token.strip())
    # All are compared, so that the time taken tells nothing.
    names = [
        name
        for name, known in settings.gateway_tokens.items()
        if hmac.compare_digest(known.lower().encode(), found.encode())
    ]
    if scheme.lower() != "bearer" or not names:
        raise NotSignedIn("The token is not known. KAFKA_GATEWAY_TOKENS lists those that are.")
    return Sender("token", names[0])


class _Csrf(CsrfViewMiddleware):
    """Django's own check, which tells its reason and answers with no page."""

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        raise Forged(reason)


def _require_same_site(request: HttpRequest) -> None:
    # The views are exempt from the middleware, since a token needs no such check.
    check = _Csrf(lambda _: HttpResponse())
    check.process_request(request)
    check.process_view(request, HttpResponse, (), {})
