"""Retry and discard in a list: one row after the other, with an audit line for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import model_ngettext
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from .readonly import ReadOnlyAdmin

MOST = 500
"""Rows that one action takes: the confirmation sends a field for each, and Django takes 1,000."""


@dataclass(frozen=True)
class Act:
    """What an action does.

    Args:
        name: the action's name, a verb: "discard".
        done: what was done, as a past participle: "discarded".
        apply: does it to one row; returns whether there was anything to do.
        audit: the audit line of one row, asked for before the row changes.
        reasons: why a row of that status is not touched.
        follows: says to the user what now happens to the rows that were changed; by default only
            that it was done.
    """

    name: str
    done: str
    apply: Callable[[Any], bool]
    audit: Callable[[Any], str]
    reasons: Mapping[str, str]
    follows: Callable[[Sequence[Any]], Iterable[str]] | None = None


class ActingAdmin(ReadOnlyAdmin):
    """A read-only list with actions on its rows, each behind a permission of its own."""

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may retry; Django asks for ``permissions=["retry"]``."""
        return self._may(request, "retry")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may discard; Django asks for ``permissions=["discard"]``."""
        return self._may(request, "discard")

    def statuses(self, keys: Iterable[Any]) -> Iterable[str]:
        """Return the status that each of these rows has now."""
        rows: QuerySet[Any] = self.model._default_manager.filter(pk__in=keys)
        return list(rows.values_list("status", flat=True))

    def act(self, request: HttpRequest, queryset: QuerySet[Any], act: Act) -> None:
        """Do ``act`` to every row, write the audit lines, and tell the user what came of it."""
        rows = self._chosen(request, queryset)
        done = [row for row in rows if self._act_on(request, row, act)]
        untouched = [row.pk for row in rows if row not in done]
        for text in self._follows(act, done) if done else ():
            self.message_user(request, text, messages.SUCCESS)
        if untouched:
            reasons = Counter(act.reasons.get(s, s) for s in self.statuses(untouched))
            why = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
            text = f"{len(untouched)} {model_ngettext(self.opts, len(untouched))} not {act.done}"
            self.message_user(request, f"{text}: {why}.", messages.WARNING)

    def act_when_sure(
        self, request: HttpRequest, queryset: QuerySet[Any], act: Act, consequence: str
    ) -> TemplateResponse | None:
        """Do ``act`` once the user has confirmed it; return the page that asks until then.

        Args:
            request: of the action, or of the confirmed form.
            queryset: the chosen rows.
            act: what is to be done.
            consequence: what cannot be undone, in a sentence.
        """
        if request.POST.get("confirmed"):
            self.act(request, queryset, act)
            return None
        rows = self._chosen(request, queryset)
        return self._ask(request, rows, act.name, consequence) if rows else None

    def _follows(self, act: Act, done: Sequence[Any]) -> Iterable[str]:
        if act.follows is not None:
            return act.follows(done)
        return [f"{len(done)} {model_ngettext(self.opts, len(done))} {act.done}."]

    def _ask(
        self, request: HttpRequest, rows: list[Any], action: str, consequence: str
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"{action.capitalize()} {len(rows)} {model_ngettext(self.opts, len(rows))}",
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "rows": rows,
            "action": action,
            "consequence": consequence,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/kafka_integration/confirmation.html", context)

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the chosen rows, or none, with a message, where they are too many."""
        rows = list(queryset[: MOST + 1])
        if len(rows) <= MOST:
            return rows
        text = f"More than {MOST} rows are chosen, so nothing was done. Filter, and take fewer."
        self.message_user(request, text, messages.ERROR)
        return []

    def _act_on(self, request: HttpRequest, row: Model, act: Act) -> bool:
        line = act.audit(row)
        with transaction.atomic(using=row._state.db):
            if not act.apply(row):
                return False
            self.log_change(request, row, line)
        return True

    def _may(self, request: HttpRequest, verb: str) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}")
