"""Two tables without any constraint that would hide a lost or doubled event."""

from __future__ import annotations

from django.db import models


class Sample(models.Model):
    """What is saved. ``lane`` is the event's key, so that order shows."""

    lane = models.CharField(max_length=50)
    number = models.IntegerField(default=0)
    note = models.CharField(max_length=50, default="", blank=True)


class Effect(models.Model):
    """What the handler does: one row a call."""

    lane = models.CharField(max_length=50)
    number = models.IntegerField()
    event_id = models.CharField(max_length=100)
