"""The gateway against whatever its OpenAPI document allows and forbids.

After each request the outbox holds as many events more as the answer names, and no event is in it
that no answer has named: nothing is lost, and nothing is let in.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from kafka_integration.gateway.openapi import document
from kafka_integration.models import OutboxEvent, OutboxQueue

from .conftest import TOKEN

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ROUNDS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    database=None,
)


def _operation(path: str, method: str) -> Any:
    described = document("/kafka")
    del described["security"]  # every request comes with the token; others are tested one by one
    schema = schemathesis.openapi.from_dict(described)
    schema.app = get_wsgi_application()
    return schema[path][method]


def _cases(mode: GenerationMode) -> Any:
    return _operation("/events", "POST").as_strategy(generation_mode=mode)


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def _call_and_count(case: Any, checks: list[Any]) -> Any:
    before = OutboxEvent.objects.count()
    response = case.call(headers=_headers())
    answered = json.loads(response.content)
    if answered.get("type") == "urn:kafka-gateway:key-reused":
        checks = CHECKS  # the document cannot say which keys were used before
    case.validate_response(response, checks=checks)
    repeated = "idempotency-replayed" in response.headers
    named = [] if response.status_code != 202 or repeated else answered["events"]
    assert OutboxEvent.objects.count() == before + len(named)
    assert OutboxQueue.objects.count() == OutboxEvent.objects.count()
    if named:
        sent = [(event["topic"], event["key"]) for event in case.body["events"]]
        rows = {str(row.event_id): (row.topic, row.key) for row in OutboxEvent.objects.all()}
        assert [rows[event["id"]] for event in named] == sent
    return response


@pytest.mark.django_db(transaction=True)
def test_what_the_document_allows_is_taken_whole() -> None:
    statuses: list[int] = []

    @ROUNDS
    @given(case=_cases(GenerationMode.POSITIVE))
    def run(case: Any) -> None:
        response = _call_and_count(case, [*CHECKS, positive_data_acceptance])
        statuses.append(response.status_code)

    run()
    assert statuses.count(202) > 20


@pytest.mark.django_db(transaction=True)
def test_what_the_document_forbids_is_refused_whole() -> None:
    statuses: list[int] = []

    @ROUNDS
    @given(case=_cases(GenerationMode.NEGATIVE))
    def run(case: Any) -> None:
        response = _call_and_count(case, [*CHECKS, negative_data_rejection])
        statuses.append(response.status_code)

    run()
    assert statuses.count(422) > 5


@pytest.mark.django_db(transaction=True)
def test_the_session_is_as_the_document_says() -> None:
    case = _operation("/session", "GET").Case()
    response = case.call(headers=_headers())
    case.validate_response(response, checks=CHECKS)
    assert response.status_code == 200
