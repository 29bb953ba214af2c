"""What the gateway answered to requests that named an idempotency key."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from typing_extensions import Self


class GatewayReceiptQuerySet(models.QuerySet["GatewayReceipt"]):
    """The answers that were given."""

    def of(self, sender: str, key: str) -> GatewayReceipt | None:
        """Return the receipt of a sender's idempotency key, if there is one."""
        return self.filter(sender=sender, key=key).first()

    def older_than(self, moment: datetime) -> Self:
        """Return those that were given before ``moment``."""
        return self.filter(created_at__lt=moment)

    def forget(self, batch_size: int) -> int:
        """Delete at most so many; return how many were deleted."""
        chosen = list(self.order_by("created_at").values_list("pk", flat=True)[:batch_size])
        return type(self)(self.model, using=self.db).filter(pk__in=chosen)._raw_delete(self.db)


class GatewayReceipt(models.Model):
    """One answer. It is committed with the events that it tells of, and never changed.

    ``fingerprint`` is the SHA-256 of the body, so that the same key with another body is noticed.
    """

    sender = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    answer = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    objects = GatewayReceiptQuerySet.as_manager()

    class Meta:
        db_table = "kafka_gateway_receipt"
        verbose_name = "gateway receipt"
        constraints = (models.UniqueConstraint(fields=["sender", "key"], name="kafka_gateway_key"),)
        indexes = (models.Index(fields=["created_at"], name="kafka_gateway_age"),)
        permissions = (("send_events", "Can send events through the gateway"),)

    def __str__(self) -> str:
        return f"{self.sender} {self.key}"
