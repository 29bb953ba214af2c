"""Tables without any constraint that would hide a lost or doubled event, and of every shape."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models.functions import Upper


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


class ShortQuerySet(models.QuerySet["Label"]):
    """A queryset of the project's own, with a method that updates."""

    def rename(self, name: str) -> int:
        """Give every row the same name."""
        return self.update(name=name)


class HidingManager(models.Manager["Label"]):
    """Hides rows, as a project's default manager may."""

    def get_queryset(self) -> models.QuerySet[Label]:
        """Return what is not hidden."""
        return super().get_queryset().exclude(name="hidden")


class Shelf(models.Model):
    """What labels stand on."""

    name = models.CharField(max_length=50)


class Label(models.Model):
    """A UUID key, a unique code, columns that the database fills, and several managers."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=50, unique=True)
    name = models.CharField(max_length=50, default="")
    size = models.IntegerField(default=0)
    colour = models.CharField(max_length=20, db_default="grey")
    loud: models.GeneratedField = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=50), db_persist=True
    )
    shelf = models.ForeignKey(Shelf, models.SET_NULL, null=True, related_name="labels")
    fallback = models.ForeignKey(
        Shelf, models.SET_DEFAULT, null=True, default=None, related_name="fallbacks"
    )
    groups: models.ManyToManyField[Group, Any] = models.ManyToManyField(
        "Group", related_name="labels"
    )

    objects = ShortQuerySet.as_manager()
    built = models.Manager.from_queryset(ShortQuerySet)()
    hiding = HidingManager()

    class Meta:
        base_manager_name = "hiding"


class Group(models.Model):
    """What labels belong to."""

    name = models.CharField(max_length=50)
    through = models.ManyToManyField(Label, through="Membership", related_name="member_of")


class Membership(models.Model):
    """A table between two others that is a model of its own."""

    label = models.ForeignKey(Label, models.CASCADE)
    group = models.ForeignKey(Group, models.CASCADE)

    class Meta:
        unique_together = [("label", "group")]


class Place(models.Model):
    """A parent with a table of its own."""

    name = models.CharField(max_length=50)
    visits = models.IntegerField(default=0)


class Restaurant(Place):
    """Its heir: one row stands in both tables."""

    stars = models.IntegerField(default=0)


class QuietPlace(Place):
    """A proxy: another class, the same rows."""

    class Meta:
        proxy = True

    @property
    def whispered(self) -> str:
        """What only the proxy can say."""
        return self.name.lower()
