"""Admin pieces for models that change by verbs, so that each change is saved and published."""

from __future__ import annotations

from typing import Any, Protocol

from django.contrib import admin, messages
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest

from .errors import DomainError


class Action(Protocol):
    """What Django's admin calls when a person has picked rows and an action."""

    def __call__(
        self, modeladmin: admin.ModelAdmin[Any], request: HttpRequest, queryset: Any, /
    ) -> None: ...


def verb(name: str, description: str) -> Action:
    """Return an admin action that calls the method ``name`` on each picked row.

    Rows that refuse are reported one by one, and the others go on.

    Args:
        name: a method without arguments that may raise :class:`DomainError`.
        description: how the action reads in the list's menu.
    """

    @admin.action(description=description, permissions=["change"])
    def action(
        modeladmin: admin.ModelAdmin[Any], request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> None:
        done = sum(_call(modeladmin, request, row, name) for row in queryset)
        if done:
            noun = (
                modeladmin.opts.verbose_name if done == 1 else modeladmin.opts.verbose_name_plural
            )
            text = f"{description}: {done} {noun}."
            modeladmin.message_user(request, text, messages.SUCCESS)

    action.__name__ = name
    return action


def _call(
    modeladmin: admin.ModelAdmin[Any], request: HttpRequest, row: models.Model, name: str
) -> bool:
    try:
        getattr(row, name)()
    except DomainError as error:
        modeladmin.message_user(request, str(error), messages.ERROR)
        return False
    return True


class SavesWhatChanged(admin.ModelAdmin):  # type: ignore[type-arg]  # Django: not subscriptable at run time
    """Saves only the form's changed columns: a form open for an hour must not undo a verb."""

    def save_model(
        self, request: HttpRequest, obj: models.Model, form: ModelForm[Any], change: bool
    ) -> None:
        """Insert a new row whole; update an existing one by its changed columns."""
        if change:
            obj.save(update_fields=[*form.changed_data, "updated_at"])
        else:
            obj.save()
