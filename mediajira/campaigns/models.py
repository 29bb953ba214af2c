"""A campaign, its history, and its preview."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID, uuid4

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models

from mediajira.workflow import Stateful, Transitions

if TYPE_CHECKING:
    from typing_extensions import Self


class CampaignStatus(models.TextChoices):
    """How far a campaign has come."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"


class Campaign(Stateful):
    """Advertising with a purpose, a budget and someone who answers for it."""

    transitions: ClassVar[Transitions] = {
        CampaignStatus.DRAFT: (CampaignStatus.ACTIVE, CampaignStatus.ARCHIVED),
        CampaignStatus.ACTIVE: (CampaignStatus.PAUSED, CampaignStatus.COMPLETED),
        CampaignStatus.PAUSED: (
            CampaignStatus.ACTIVE,
            CampaignStatus.COMPLETED,
            CampaignStatus.ARCHIVED,
        ),
        CampaignStatus.COMPLETED: (CampaignStatus.ARCHIVED,),
        CampaignStatus.ARCHIVED: (),
    }

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    budget = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        default=Decimal("0.00"),
        validators=[MinValueValidator(Decimal(0))],
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="campaigns"
    )
    status = models.CharField(
        max_length=9, choices=CampaignStatus.choices, default=CampaignStatus.DRAFT
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def activate(self) -> None:
        """Start the campaign, or go on with it after a pause.

        Raises:
            IllegalTransition: it is neither a draft nor paused.
        """
        self._move(CampaignStatus.ACTIVE)

    def pause(self) -> None:
        """Stop the campaign for a while.

        Raises:
            IllegalTransition: it is not active.
        """
        self._move(CampaignStatus.PAUSED)

    def complete(self) -> None:
        """Bring the campaign to its end.

        Raises:
            IllegalTransition: it never ran, or has ended already.
        """
        self._move(CampaignStatus.COMPLETED)

    def archive(self) -> None:
        """Put the campaign out of sight, for good.

        Raises:
            IllegalTransition: it is active, or archived already.
        """
        self._move(CampaignStatus.ARCHIVED)

    def revise(self, **values: Any) -> None:
        """Change what the campaign is about: ``name``, ``description``, ``budget``, ``owner``."""
        self._write(**values)


class TimelineEntryQuerySet(models.QuerySet["TimelineEntry"]):
    """History, by campaign."""

    def of(self, campaign_id: UUID) -> Self:
        """Return one campaign's history, oldest first."""
        return self.filter(campaign_id=campaign_id).order_by("happened_at", "pk")


class TimelineEntry(models.Model):
    """One thing that happened to a campaign or to what belongs to it.

    ``campaign_id`` is no foreign key: events arrive after their campaign's deletion too, and the
    history outlives the campaign.
    """

    campaign_id = models.UUIDField()
    what = models.CharField(max_length=100, help_text="The event's type.")
    text = models.TextField()
    event_id = models.CharField(max_length=255, help_text="The event's id, ce_id in Kafka.")
    happened_at = models.DateTimeField()

    objects = TimelineEntryQuerySet.as_manager()

    class Meta:
        ordering = ["-happened_at", "-pk"]
        verbose_name_plural = "timeline entries"
        indexes = [
            models.Index(fields=["campaign_id", "happened_at"], name="campaigns_timeline"),
            models.Index(fields=["event_id"], name="campaigns_timeline_event"),
        ]

    def __str__(self) -> str:
        return self.text


class CampaignPreview(models.Model):
    """What a campaign holds, counted when its assets change, for lists that must be quick.

    ``campaign_id`` is no foreign key, so that a late event cannot fail on a campaign that is gone.
    """

    campaign_id = models.UUIDField(primary_key=True)
    asset_count = models.PositiveIntegerField(default=0)
    latest_asset = models.CharField(max_length=200, blank=True, default="")
    refreshed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.asset_count} assets, the latest: {self.latest_asset or 'none'}"
