"""Models whose status moves along a fixed map, one verb at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models, transaction
from django.utils.text import capfirst

from .errors import IllegalTransition

Transitions = Mapping[str, tuple[str, ...]]
"""For each status, those that may follow it."""


class Stateful(models.Model):
    """Base of models with a ``status`` and an ``updated_at``.

    A verb decides by the row and not by the instance, which may be old: it locks the row, brings
    the columns that it needs up to date, and writes only the columns that it changes.
    """

    transitions: ClassVar[Transitions]
    status: models.Field[Any, str]
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    def _move(self, to: str, **values: Any) -> None:
        """Give the row its next status, and ``values`` with it.

        Raises:
            IllegalTransition: ``to`` may not follow the row's present status.
        """
        with transaction.atomic(using=self._state.db):
            self._lock("status")
            possible = self.transitions[self.status]
            if to not in possible:
                subject = capfirst(f"{self._meta.verbose_name} {str(self)!r}")
                raise IllegalTransition(subject, self.status, to, possible)
            self._write(status=to, **values)

    def _lock(self, *fields: str) -> None:
        # NO KEY: rows that refer to this one can be inserted meanwhile.
        rows = type(self)._base_manager.using(self._state.db).select_for_update(no_key=True)
        self.refresh_from_db(fields=fields, from_queryset=rows)

    def _write(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.save(update_fields=[*values, "updated_at"])
