"""The document that is served."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from jsonschema_rs import Draft202012Validator

from kafka_integration.gateway.openapi import document

from .conftest import NOTES, TOKEN, VOTES, note


@pytest.fixture
def event_is_valid() -> Any:
    found = document("/kafka")
    schema = {"$ref": "#/components/schemas/Event", "components": found["components"]}
    return Draft202012Validator(schema).is_valid


def test_it_is_served_with_the_address_it_is_served_under(client: Client, db: None) -> None:
    response = client.get("/kafka/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    assert response.json() == document("/kafka")
    assert response.json()["openapi"].startswith("3.1.")
    assert response.json()["servers"] == [{"url": "/kafka"}]


@pytest.mark.parametrize(
    ("event", "valid"),
    [
        (note(), True),
        (note(headers={"source": "x"}), True),
        (note(headers={"ce_id": "x"}), False),
        (note(topic=VOTES), False),
        (note(data={"unknown": 1}), False),
        (note(key=""), False),
        ({"topic": VOTES, "key": "1", "data": {"choice": 1, "weight": 1}}, False),
        ({"topic": VOTES, "key": "1", "type": "VoteCast", "data": {"choice": 1}}, False),
        (
            {"topic": VOTES, "key": "1", "type": "VoteCast", "version": 1, "data": {"choice": 1}},
            True,
        ),
    ],
)
def test_it_says_what_is_accepted(event_is_valid: Any, event: Any, valid: bool) -> None:
    assert event_is_valid(event) is valid


def test_with_no_open_topic_nothing_is_valid(settings: Any) -> None:
    settings.KAFKA_GATEWAY_TOPICS = []
    assert document("/")["components"]["schemas"]["Event"] == {"anyOf": [{"not": {}}]}
    assert NOTES not in str(document("/"))
