"""Shows the AsyncAPI document: as a page, and as JSON and YAML for tools."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ..asyncapi.document import as_json, as_yaml, document
from .access import for_staff
from .page import channel_views


@require_safe
@for_staff
def page(request: HttpRequest) -> HttpResponse:
    """Show the document as one page, without any script and without any other host."""
    found = document()
    context = {"document": found, "channels": channel_views(found)}
    return render(request, "kafka_integration/asyncapi.html", context)


@require_safe
@for_staff
def as_json_file(request: HttpRequest) -> HttpResponse:
    """Return the document as JSON."""
    return HttpResponse(as_json(document()), content_type="application/json")


@require_safe
@for_staff
def as_yaml_file(request: HttpRequest) -> HttpResponse:
    """Return the document as YAML."""
    return HttpResponse(as_yaml(document()), content_type="application/yaml; charset=utf-8")
