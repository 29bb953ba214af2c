"""The storm's tables. Their rows are the ledger: what they say was committed, and nothing else.

No constraint hides a lost or doubled number, and ``doomed`` marks work that is rolled back.
"""

from __future__ import annotations

from django.db import models


class Card(models.Model):
    """Told at each change: its events are 1 to ``number``, and one more when it is deleted.

    Its events are as large as its ``weight`` in bytes, and some more.
    """

    id = models.CharField(max_length=50, primary_key=True)
    number = models.IntegerField(default=1)
    weight = models.IntegerField(default=0)
    doomed = models.BooleanField(default=False)


class Grave(models.Model):
    """Dug before its card is deleted, with the number of that event; void while the card is."""

    card = models.CharField(max_length=50, primary_key=True)
    number = models.IntegerField()


class Counter(models.Model):
    """The last number of a key. Its row is locked until the number is committed."""

    key = models.CharField(max_length=50, primary_key=True)
    last = models.IntegerField(default=0)


class Numbered(models.Model):
    """One event of a key."""

    key = models.CharField(max_length=50)
    number = models.IntegerField()
    doomed = models.BooleanField(default=False)

    class Meta:
        abstract = True


class Note(Numbered):
    """Told when it is created, under a key that is not its primary key."""


class Word(Numbered):
    """Stands for what was published by hand."""


class Deed(models.Model):
    """What a handler left: its rows, by their keys and in their order, are the whole effect.

    ``before`` is the highest number of topic and key that the handler saw.
    """

    topic = models.CharField(max_length=100)
    key = models.CharField(max_length=50)
    number = models.IntegerField()
    before = models.IntegerField()

    class Meta:
        indexes = [models.Index(fields=["topic", "key", "number"], name="storm_deed_number")]
