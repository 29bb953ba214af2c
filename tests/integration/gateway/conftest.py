"""A gateway on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from uuid import UUID

import pytest
from django.core.cache import cache
from pydantic import BaseModel, Field
from pytest_django import Settings

from kafka_integration import EventData, accepts
from kafka_integration.gateway.acceptance import acceptances
from kafka_integration.gateway.sender import digest

NOTES = "gateway.note_added.json"
VOTES = "gateway.vote_cast.json"
TOKEN = "a-token-of-the-tests"


class Author(BaseModel, extra="forbid"):
    """A part of a note."""

    name: str
    age: int = Field(ge=0, le=150)


class NoteAdded(EventData):
    """A note, with many kinds of fields."""

    note_id: UUID
    text: str = Field(max_length=200)
    kind: Literal["public", "private"]
    tags: list[str] = Field(default_factory=list)
    ratings: dict[str, float] = Field(default_factory=dict)
    author: Author | None = None


class VoteCast(EventData):
    """A vote."""

    choice: int


class VoteWithdrawn(EventData):
    """A vote that does not count."""

    voter: str


@pytest.fixture(autouse=True)
def gateway(settings: Settings) -> Iterator[None]:
    settings.ALLOWED_HOSTS = ["localhost", "testserver"]
    settings.KAFKA_TOPICS_FILE = ""
    settings.KAFKA_GATEWAY_TOPICS = [NOTES, VOTES]
    settings.KAFKA_GATEWAY_TOKENS = {"fuzz": digest(TOKEN)}
    settings.KAFKA_GATEWAY_EVENTS_PER_MINUTE = 1_000_000
    cache.clear()
    with acceptances.isolated():
        accepts(NOTES, NoteAdded)
        accepts(VOTES, VoteCast)
        accepts(VOTES, VoteWithdrawn)
        yield
