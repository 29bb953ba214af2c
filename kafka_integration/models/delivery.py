"""How an event left the outbox."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Outcome(models.TextChoices):
    """How an event left the queue."""

    SENT = "sent"
    DISCARDED = "discarded"


class OutboxDelivery(models.Model):
    """How an event left the queue, and where in its topic it landed. Only ever inserted."""

    event = models.ForeignKey(
        "kafka_integration.OutboxEvent",
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="deliveries",
    )
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    partition = models.IntegerField(null=True, blank=True)
    offset = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "kafka_outbox_delivery"
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.outcome} [{self.partition}]@{self.offset}"
