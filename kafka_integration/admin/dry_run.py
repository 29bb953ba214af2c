"""The page that says how handlers would do with messages that were given up."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse

from ..inbox.rehearsal import Rehearsal, Verdict, rehearse
from ..models import InboxRecord, InboxStatus
from ..readable import counted

MOST = 20
"""Messages that one page tries: a browser waits for it, and its database locks with it."""

SECONDS = 10.0

_WORDS = {
    Verdict.FINE: ("done", "would be handled"),
    Verdict.FAILS: ("dead", "would fail again"),
    Verdict.UNDECIDED: ("unknown", "could not be tried"),
}


def dry_run(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[InboxRecord]
) -> HttpResponseBase:
    """Try the chosen messages without any effect in the databases, and show how each went.

    Each leaves an audit line: the handlers did run, with what they do outside the databases.
    """
    records = list(queryset[: MOST + 1])
    if len(records) > MOST:
        text = (
            f"A page tries at most {MOST} messages, so nothing was done. Choose fewer, or use "
            "manage.py kafka_dead_letters redrive --dry-run."
        )
        model_admin.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())
    found = [rehearse(record, SECONDS) for record in records]
    for rehearsal in found:
        model_admin.log_change(request, rehearsal.record, _line(rehearsal))
    return _page(model_admin, request, found)


def _page(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, found: list[Rehearsal]
) -> TemplateResponse:
    ready = [
        rehearsal.record.pk
        for rehearsal in found
        if rehearsal.verdict is Verdict.FINE and rehearsal.record.status == InboxStatus.DEAD
    ]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"Dry run of {counted(len(found), 'message')}",
        "subtitle": None,
        "opts": model_admin.opts,
        "media": model_admin.media,
        "found": [(rehearsal, *_WORDS[rehearsal.verdict]) for rehearsal in found],
        "ready": ready,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/kafka_integration/dry_run.html", context)


def _line(rehearsal: Rehearsal) -> str:
    words = _WORDS[rehearsal.verdict][1]
    return f"Dry run: {words}. {rehearsal.error}".rstrip()
