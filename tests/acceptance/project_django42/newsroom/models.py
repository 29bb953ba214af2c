"""An article with a UUID key, whose state only django-fsm's transitions may change."""

from __future__ import annotations

import uuid

from django.db import models
from django_fsm import FSMField, transition


class Article(models.Model):
    """What is written, reviewed and published."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    headline = models.CharField(max_length=100)
    state = FSMField(default="draft", protected=True)

    @transition(field=state, source="draft", target="published")
    def publish(self) -> None:
        """Let the article out; the caller saves."""


class Edition(models.Model):
    """What became of a published article: one row for each call of the handler."""

    article_id = models.UUIDField()
    headline = models.CharField(max_length=100)
