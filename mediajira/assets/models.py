"""An asset: one picture, film or text of a campaign."""

from __future__ import annotations

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models, transaction

from mediajira.campaigns.models import Campaign
from mediajira.workflow import Stateful, Transitions


class AssetStatus(models.TextChoices):
    """How far an asset's present version has come."""

    DRAFT = "draft"
    IN_REVIEW = "in_review", "In review"
    APPROVED = "approved"
    REJECTED = "rejected"


class Asset(Stateful):
    """One picture, film or text. It stays with its campaign; its versions are reviewed."""

    transitions: ClassVar[Transitions] = {
        AssetStatus.DRAFT: (AssetStatus.IN_REVIEW,),
        AssetStatus.IN_REVIEW: (AssetStatus.APPROVED, AssetStatus.REJECTED),
        AssetStatus.APPROVED: (),
        AssetStatus.REJECTED: (AssetStatus.IN_REVIEW,),
    }

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="assets")
    name = models.CharField(max_length=200)
    url = models.CharField(
        max_length=500, help_text="Where the present version lies: a URL or a storage path."
    )
    version = models.PositiveIntegerField(default=1)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assets"
    )
    status = models.CharField(max_length=9, choices=AssetStatus.choices, default=AssetStatus.DRAFT)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def submit(self) -> None:
        """Ask for a review.

        Raises:
            IllegalTransition: it is in review or approved; an approved one needs a new version.
        """
        self._move(AssetStatus.IN_REVIEW)

    def approve(self) -> None:
        """Let the present version be used.

        Raises:
            IllegalTransition: it is not in review.
        """
        self._move(AssetStatus.APPROVED)

    def reject(self) -> None:
        """Send the present version back.

        Raises:
            IllegalTransition: it is not in review.
        """
        self._move(AssetStatus.REJECTED)

    def new_version(self, url: str) -> None:
        """Replace the file; the new version is a draft, whatever became of the old one.

        Args:
            url: where the new version lies.
        """
        with transaction.atomic(using=self._state.db):
            self._lock("version")
            self._write(url=url, version=self.version + 1, status=AssetStatus.DRAFT)

    def rename(self, name: str) -> None:
        """Call the asset something else."""
        self._write(name=name)
