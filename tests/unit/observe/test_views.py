"""Metrics and probes of the web."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from kafka_integration.models import OutboxHold
from kafka_integration.models.queue import OutboxQueueQuerySet
from kafka_integration.observe import views

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def anew() -> None:
    views._registry.cache_clear()


def test_metrics_are_shown_to_who_has_the_token(client: Client, settings: Settings) -> None:
    settings.KAFKA_METRICS_TOKEN = "the-token"
    OutboxHold.objects.create(topic="thing.made.json", key_hash=1, key="a", reason="too large")
    answer = client.get("/kafka/metrics", headers={"authorization": "Bearer the-token"})
    assert answer.status_code == 200
    assert b'kafka_outbox_held_keys{topic="thing.made.json"} 1.0' in answer.content
    assert answer["Content-Type"].startswith("text/plain; version=")


@pytest.mark.parametrize(
    "said", ["", "Bearer ", "Bearer the-toke", "the-token", "Bearer the-tökén"]
)
def test_nobody_else_sees_them(client: Client, settings: Settings, said: str) -> None:
    settings.KAFKA_METRICS_TOKEN, settings.DEBUG = "the-token", True
    answer = client.get("/kafka/metrics", headers={"authorization": said} if said else None)
    assert answer.status_code == 403
    assert b"KAFKA_METRICS_TOKEN" in answer.content


def test_without_a_token_they_are_shown_in_development_only(
    client: Client, settings: Settings
) -> None:
    assert client.get("/kafka/metrics").status_code == 403
    settings.DEBUG = True
    assert client.get("/kafka/metrics").status_code == 200


def test_the_web_is_alive_and_ready(client: Client) -> None:
    assert client.get("/kafka/livez").status_code == 200
    assert client.get("/kafka/readyz").status_code == 200
    assert client.post("/kafka/readyz").status_code == 405


def test_the_web_is_not_ready_without_its_database_and_alive_nonetheless(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("password for user x is wrong")

    monkeypatch.setattr(OutboxQueueQuerySet, "exists", fail)
    monkeypatch.setattr(
        views, "connections", {"default": type("C", (), {"close": lambda _: None})()}
    )
    answer = client.get("/kafka/readyz")
    assert answer.status_code == 503
    assert b"password" not in answer.content
    assert "password for user x is wrong" in caplog.text
    assert client.get("/kafka/livez").status_code == 200
