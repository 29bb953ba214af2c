"""A retrospective: a look back at one campaign."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from mediajira.campaigns.models import Campaign
from mediajira.workflow import Stateful, Transitions


class RetrospectiveStatus(models.TextChoices):
    """How far a retrospective has come."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress", "In progress"
    COMPLETED = "completed"


class Retrospective(Stateful):
    """What went well, what did not, and what follows from it."""

    transitions: ClassVar[Transitions] = {
        RetrospectiveStatus.SCHEDULED: (
            RetrospectiveStatus.IN_PROGRESS,
            RetrospectiveStatus.COMPLETED,
        ),
        RetrospectiveStatus.IN_PROGRESS: (RetrospectiveStatus.COMPLETED,),
        RetrospectiveStatus.COMPLETED: (),
    }

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="retrospectives")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="retrospectives"
    )
    summary = models.TextField(blank=True, default="")
    status = models.CharField(
        max_length=11,
        choices=RetrospectiveStatus.choices,
        default=RetrospectiveStatus.SCHEDULED,
    )
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"Retrospective {self.pk}"

    def start(self) -> None:
        """Begin to look back.

        Raises:
            IllegalTransition: it has begun already.
        """
        self._move(RetrospectiveStatus.IN_PROGRESS)

    def complete(self, summary: str = "") -> None:
        """Close the retrospective.

        Args:
            summary: what was learned; empty keeps what is written already.

        Raises:
            IllegalTransition: it is completed already.
        """
        values: dict[str, Any] = {"summary": summary} if summary else {}
        self._move(RetrospectiveStatus.COMPLETED, completed_at=timezone.now(), **values)

    def summarise(self, summary: str) -> None:
        """Write down what was learned so far."""
        self._write(summary=summary)
