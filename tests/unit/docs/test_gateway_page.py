"""What ``docs/gateway.md`` shows is tried, and what it lists is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from kafka_integration.gateway import problems
from kafka_integration.gateway.acceptance import acceptances
from kafka_integration.models import OutboxEvent

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "gateway.md").read_text()


def block(language: str, containing: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    [wanted] = [text for text in found if containing in text]
    return str(wanted)


@pytest.fixture
def declared(settings: Settings) -> Iterator[None]:
    settings.KAFKA_TOPICS_FILE = ""
    name, _, topics = block("sh", "KAFKA_GATEWAY_TOPICS").strip().partition("=")
    setattr(settings, name, topics.split(","))
    with acceptances.isolated():
        shown = compile(block("python", "accepts("), "gateway.md", "exec", dont_inherit=True)
        exec(shown, {"UUID": UUID, "__name__": "page"})
        yield


@pytest.mark.usefixtures("declared")
def test_the_request_of_the_page_is_accepted(db: None, client: Client) -> None:
    user = User.objects.create_user("ada")
    user.user_permissions.add(Permission.objects.get(codename="send_events"))
    client.force_login(user)
    body = block("json", "events")
    response = client.post("/kafka/events", body, content_type="application/json")
    assert response.status_code == 202, response.content
    assert OutboxEvent.objects.get().headers["source"] == "frontend"


def test_every_refusal_stands_in_the_table() -> None:
    table = {
        (int(status), name)
        for status, name in re.findall(r"^\| (\d+) \| `(.+?)`", PAGE, re.MULTILINE)
    }
    assert table == {(found.status, found.name) for found in problems.Problem.__subclasses__()}
