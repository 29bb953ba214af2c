"""Metrics and probes of a web process.

The numbers are the database's, so that it does not matter which process of the web server answers.
"""

from __future__ import annotations

import functools
import hmac
import logging

from django.db import DatabaseError, InterfaceError, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ..conf import is_debugging, settings
from ..models import OutboxQueue
from .watching import require_client

log = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"


@never_cache
@require_safe
@transaction.non_atomic_requests
def metrics(request: HttpRequest) -> HttpResponse:
    """Show what the database says of outbox and inbox, to whoever shows ``KAFKA_METRICS_TOKEN``.

    Without a token it answers while ``DEBUG`` is on, and nobody otherwise: topics and hosts are
    nobody else's business.
    """
    if not _may_see(request):
        text = "Send the header 'Authorization: Bearer' with the value of KAFKA_METRICS_TOKEN.\n"
        return HttpResponse(text, status=403, content_type=_TEXT)
    return _page()


@never_cache
@require_safe
@transaction.non_atomic_requests
def livez(request: HttpRequest) -> HttpResponse:
    """Answer: a web process that does is alive. It has no loop of its own that could hang."""
    return HttpResponse("This process answers.\n", content_type=_TEXT)


@never_cache
@require_safe
@transaction.non_atomic_requests
def readyz(request: HttpRequest) -> HttpResponse:
    """Tell whether saves can go through: the database answers and has the outbox.

    Kafka is not asked: while it is away, saves go on and events wait.
    """
    try:
        OutboxQueue.objects.exists()
    except (DatabaseError, InterfaceError) as error:
        log.warning("Not ready: %s", error)
        connections[OutboxQueue.objects.db].close()
        text = "The database does not answer, or has no outbox; the log has the reason.\n"
        return HttpResponse(text, status=503, content_type=_TEXT)
    return HttpResponse("The database answers.\n", content_type=_TEXT)


def _may_see(request: HttpRequest) -> bool:
    token = settings.metrics_token
    if not token:
        return is_debugging()
    said = request.headers.get("Authorization", "")
    return hmac.compare_digest(said.encode(), f"Bearer {token}".encode())


@functools.lru_cache(maxsize=1)
def _registry() -> object:
    from .registry import state_registry  # a project without the extra must load its URLs

    return state_registry()


def _page() -> HttpResponse:
    require_client()
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    registry = _registry()
    assert isinstance(registry, CollectorRegistry)  # noqa: S101  # for mypy
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
