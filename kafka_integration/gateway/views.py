"""The gateway's three addresses."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.views.decorators.csrf import csrf_exempt

from ..conf import settings
from ..database import is_contention, is_outage
from . import body, openapi
from .acceptance import open_topics
from .allowance import spend
from .parcel import unpack
from .posting import Posting
from .problems import MEDIA_TYPE, MethodNotAllowed, Problem, Unavailable
from .sender import identify

log = logging.getLogger(__name__)

View = Callable[[HttpRequest], HttpResponse]


def _answers(method: str) -> Callable[[View], View]:
    """Let a view be asked with one method, and answer every problem as RFC 9457 says."""

    def wrap(view: View) -> View:
        @csrf_exempt  # identify() checks it, for sessions only
        @functools.wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            try:
                if request.method != method:
                    raise MethodNotAllowed(method)
                response = _guarded(view, request)
            except Problem as problem:
                response = _refusal(problem)
            response["Cache-Control"] = "no-store"
            return response

        return answer

    return wrap


@_answers("POST")
def events(request: HttpRequest) -> HttpResponse:
    """Write the events of the body into the outbox: all of them or none."""
    body.require_json(request)
    sender = identify(request)
    if not settings.enabled:
        raise Unavailable("Events are switched off (KAFKA_ENABLED).", seconds=60)
    spend(sender, 1)
    content = body.read(request)
    posting = Posting.of(request, content, sender)
    earlier = posting.earlier_answer()
    if earlier is not None:
        return _accepted(earlier, is_repeated=True)
    incoming = unpack(body.parse(content), sender)
    if len(incoming) > 1:
        spend(sender, len(incoming) - 1)
    return _accepted(*posting.write(incoming))


@_answers("GET")
def session(request: HttpRequest) -> HttpResponse:
    """Tell a client what it may send, and hand it the CSRF token of its session."""
    sender = identify(request)
    return JsonResponse(
        {
            "sender": str(sender),
            "csrf_token": get_token(request) if sender.kind == "user" else "",
            "topics": list(open_topics()),
            "max_events": settings.gateway_max_events,
            "max_bytes": settings.gateway_max_bytes,
        }
    )


@_answers("GET")
def document(request: HttpRequest) -> HttpResponse:
    """Serve the gateway's OpenAPI document to those who may send."""
    identify(request)
    base = request.path.rpartition("/")[0] or "/"
    return JsonResponse(openapi.document(base), content_type="application/json")


def _guarded(view: View, request: HttpRequest) -> HttpResponse:
    try:
        return view(request)
    except Error as error:
        if not (is_outage(error) or is_contention(error)):
            raise
        log.warning("The gateway refused a request since the database is not at hand: %s", error)
        raise Unavailable("The database is not at hand. Nothing was written; try again.") from error


def _accepted(answer: str, is_repeated: bool) -> HttpResponse:
    headers = {"Idempotency-Replayed": "true"} if is_repeated else {}
    return HttpResponse(answer, status=202, content_type="application/json", headers=headers)


def _refusal(problem: Problem) -> HttpResponse:
    return JsonResponse(
        problem.document(),
        status=problem.status,
        content_type=MEDIA_TYPE,
        headers=problem.headers,
    )
