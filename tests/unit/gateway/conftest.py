"""A gateway with two topics, and senders who may and may not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from pydantic import Field
from pytest_django import Settings

from kafka_integration import EventData, accepts
from kafka_integration.gateway.acceptance import acceptances
from kafka_integration.gateway.sender import Sender, digest

NOTES = "gateway.note_added.json"
VOTES = "gateway.vote_cast.json"
TOKEN = "a-token-of-the-tests"
NOTE_ID = "0b0cf3b4-6d0d-4a35-8f5a-0a0a0a0a0a0a"


class NoteAdded(EventData):
    """A note."""

    note_id: UUID
    text: str = Field(max_length=200)
    price: Decimal | None = None


class VoteCast(EventData):
    """A vote."""

    choice: int


class VoteCastAnew(EventData):
    """The second version of a vote."""

    event_type = "VoteCast"
    event_version = 2

    choice: int
    weight: float


class VoteWithdrawn(EventData):
    """A vote that does not count."""

    voter: str


def own_vote(sender: Sender, vote: VoteWithdrawn) -> bool:
    """Let everybody withdraw their own votes only."""
    return vote.voter == sender.name


@pytest.fixture(autouse=True)
def gateway(settings: Settings) -> Iterator[None]:
    settings.KAFKA_TOPICS_FILE = ""
    settings.KAFKA_GATEWAY_TOPICS = [NOTES, VOTES]
    settings.KAFKA_GATEWAY_TOKENS = {"shop": digest(TOKEN)}
    cache.clear()
    with acceptances.isolated():
        accepts(NOTES, NoteAdded)
        accepts(VOTES, VoteCast)
        accepts(VOTES, VoteCastAnew)
        accepts(VOTES, VoteWithdrawn, allow=own_vote)
        yield


@pytest.fixture
def user(db: None) -> User:
    """A user who may send events."""
    made = User.objects.create_user("ada", password="secret")
    made.user_permissions.add(Permission.objects.get(codename="send_events"))
    return made


@pytest.fixture
def browser(user: User) -> Client:
    """Signed in, and held to CSRF as a browser is."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def note(**values: Any) -> dict[str, Any]:
    """Return an event that is accepted."""
    data = {"note_id": NOTE_ID, "text": "hello"} | values.pop("data", {})
    return {"topic": NOTES, "key": "7", "data": data} | values


@pytest.fixture
def post(db: None, client: Client) -> Callable[..., Any]:
    """Post events, or a body, with the token."""

    def send(*events: dict[str, Any], body: bytes | None = None, **extra: Any) -> Any:
        content = json.dumps({"events": events}).encode() if body is None else body
        headers = {"Authorization": f"Bearer {TOKEN}"} | extra.pop("headers", {})
        kind = extra.pop("content_type", "application/json")
        return client.post("/kafka/events", content, content_type=kind, headers=headers, **extra)

    return send
