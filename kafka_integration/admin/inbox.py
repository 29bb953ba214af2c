"""The inbox in the admin: what each consumer group made of its messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import model_ngettext, unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..events.envelope import headers_from_json
from ..events.registry import registry
from ..models import InboxRecord, InboxStatus
from ..readable import NOTHING, key_text
from .actions import Act, ActingAdmin
from .display import (
    aged,
    badge,
    brief,
    code,
    dotted,
    header_table,
    place,
    pretty,
    short,
    stacked,
)
from .dry_run import dry_run
from .filters import GroupFilter, TopicFilter

_NOT_KEPT = format_html(
    '<span class="kafka-note" title="{}">{}</span>',
    "Kept only while it is not handled.",
    "not kept",
)
_REASONS: dict[str, str] = {
    InboxStatus.DONE: "already done",
    InboxStatus.PARKED: "already waiting for the consumer",
    InboxStatus.DISCARDED: "already discarded",
    InboxStatus.DEAD: "in a group that this project has no handler of",
}
_BUTTONS: dict[str, tuple[str, ...]] = {
    InboxStatus.PARKED: ("dry_run",),
    InboxStatus.DEAD: ("dry_run", "retry", "discard"),
}


@admin.register(InboxRecord)
class InboxRecordAdmin(ActingAdmin):
    """Every message in every group, newest first."""

    list_display = (
        "id",
        "status_",
        "group_",
        "topic_",
        "key_in_brief",
        "age",
        "origin",
        "attempts",
        "last_error_",
    )
    list_filter = ("status", GroupFilter, TopicFilter, "created_at")
    search_fields = ("event_id",)  # shows the search box; get_search_results looks
    search_help_text = "A whole event id."
    ordering = ("-pk",)
    list_per_page = 50
    actions = ("dry_run", "retry", "discard")
    fieldsets = (
        (None, {"fields": ("group", "event_id", "source", "topic", "origin", "key_")}),
        (
            "What became of it",
            {
                "fields": (
                    "status_",
                    "handler",
                    "attempts",
                    "last_error",
                    "available_at",
                    "created_at",
                    "updated_at",
                )
            },
        ),
        ("What it says", {"fields": ("payload", "headers_")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboxRecord]:
        """Return the records without their payloads."""
        return InboxRecord.objects.defer("value")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the records of this event in all groups."""
        term = search_term.strip()
        return (queryset.found_by(term) if term else queryset), False  # type: ignore[attr-defined]  # InboxRecordQuerySet

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one record, with a button for each action that is possible and allowed."""
        allowed = self.get_actions(request)
        record = self.get_object(request, unquote(object_id))
        wanted = _BUTTONS.get(record.status, ()) if record else ()
        buttons = [(name, name.replace("_", " ")) for name in wanted if name in allowed]
        extra = (extra_context or {}) | {"buttons": buttons, "checkbox": ACTION_CHECKBOX_NAME}
        return super().change_view(request, object_id, form_url, extra)

    @admin.action(description="Dry run: try, and undo all of it", permissions=["retry"])
    def dry_run(self, request: HttpRequest, queryset: QuerySet[InboxRecord]) -> HttpResponseBase:
        """Call the handlers of the chosen messages, undo what they did, and show how it went."""
        return dry_run(self, request, queryset)

    @admin.action(description="Retry: hand to the consumer again", permissions=["retry"])
    def retry(
        self, request: HttpRequest, queryset: QuerySet[InboxRecord]
    ) -> HttpResponseBase | None:
        """Hand the chosen dead messages to their group's consumer, once the user is sure."""
        consequence = (
            "The group's consumer runs the handlers of these messages again. Other groups do not "
            "hear of it. Messages that are not dead stay as they are."
        )
        act = Act("retry", "retried", _retry, _retry_line, _REASONS, _who_will_try)
        return self.act_when_sure(request, queryset, act, consequence)

    @admin.action(description="Discard: never handle", permissions=["discard"])
    def discard(
        self, request: HttpRequest, queryset: QuerySet[InboxRecord]
    ) -> HttpResponseBase | None:
        """Give the chosen dead messages up, once the user is sure."""
        consequence = (
            "No handler will ever see these messages in their groups. Messages that are not dead "
            "stay as they are. This cannot be undone."
        )
        act = Act("discard", "discarded", InboxRecord.discard, _discard_line, _REASONS)
        return self.act_when_sure(request, queryset, act, consequence)

    @admin.display(description="Status")
    def status_(self, record: InboxRecord) -> SafeString:
        """Done, waiting for retry, dead or discarded."""
        return badge(record.status, InboxStatus(record.status).label.lower())

    @admin.display(description="Topic")
    def topic_(self, record: InboxRecord) -> SafeString:
        """The topic."""
        return dotted(record.topic)

    @admin.display(description="Group and handler")
    def group_(self, record: InboxRecord) -> SafeString:
        """The group, and below it the function; its whole path shows under the pointer."""
        name = record.handler.rpartition(".")[2] or NOTHING
        return stacked(
            record.group, format_html('<span title="{}">{}</span>', record.handler, name)
        )

    @admin.display(description="Key")
    def key_in_brief(self, record: InboxRecord) -> SafeString:
        """The key's beginning, as text or in hexadecimal; a handled message's is not kept."""
        return _NOT_KEPT if _is_handled(record) else brief(key_text(record.key))

    @admin.display(description="Key")
    def key_(self, record: InboxRecord) -> SafeString:
        """The key as text, or in hexadecimal; a handled message's is not kept."""
        return _NOT_KEPT if _is_handled(record) else code(key_text(record.key))

    @admin.display(description="Age")
    def age(self, record: InboxRecord) -> SafeString:
        """Since when the group has dealt with it."""
        return aged(record.created_at)

    @admin.display(description="Came from")
    def origin(self, record: InboxRecord) -> SafeString:
        """Topic, partition and offset."""
        return place(record.topic, record.partition, record.offset)

    @admin.display(description="Last error")
    def last_error_(self, record: InboxRecord) -> SafeString | str:
        """The error's beginning."""
        return short(record.last_error)

    @admin.display(description="Payload")
    def payload(self, record: InboxRecord) -> SafeString | str:
        """The value, readable, where it was kept."""
        if record.value is not None:
            return pretty(record.value)
        if record.status == InboxStatus.DONE:
            return "Not kept: it was handled, and it is still in Kafka until its retention ends."
        return "null (no value at all)"

    @admin.display(description="Headers")
    def headers_(self, record: InboxRecord) -> SafeString | str:
        """The headers, where they were kept."""
        return header_table(headers_from_json(record.headers))


def _is_handled(record: InboxRecord) -> bool:
    return record.status == InboxStatus.DONE


def _retry(record: InboxRecord) -> bool:
    """Retry a record, unless it would wait for ever."""
    return record.group in registry.groups() and record.retry()


def _who_will_try(done: Sequence[InboxRecord]) -> list[str]:
    """Return one sentence a group: nothing happens before that group's consumer runs."""
    groups = Counter(record.group for record in done)
    return [
        f"{count} {model_ngettext(InboxRecord._meta, count)} will be tried again by kafka_consume "
        f"--group {group}."
        for group, count in sorted(groups.items())
    ]


def _retry_line(record: InboxRecord) -> str:
    return f"Retried. It was dead: {record.last_error or 'no error recorded'}"


def _discard_line(record: InboxRecord) -> str:
    return f"Discarded. It was dead: {record.last_error or 'no error recorded'}"
