"""Requests side by side, on real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from kafka_integration.models import GatewayReceipt, OutboxEvent

from .conftest import TOKEN, VOTES


def _vote(key: str) -> dict[str, Any]:
    return {"topic": VOTES, "key": key, "type": "VoteCast", "data": {"choice": 1}}


def _post(keys: list[str], idempotency_key: str) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": idempotency_key}
    body = json.dumps({"events": [_vote(key) for key in keys]})
    try:
        return Client().post(
            "/kafka/events", body, content_type="application/json", headers=headers
        )
    finally:
        connections.close_all()


def _side_by_side(calls: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [found.result(timeout=120) for found in [pool.submit(call) for call in calls]]


@pytest.mark.django_db(transaction=True)
def test_requests_with_one_key_give_one_set_of_events_and_one_answer() -> None:
    for turn in range(10):
        responses = _side_by_side([partial(_post, ["a", "b"], f"k-{turn}")] * 6)
        assert {response.status_code for response in responses} == {202}
        assert len({response.content for response in responses}) == 1
        assert OutboxEvent.objects.count() == 2 * (turn + 1)
    assert GatewayReceipt.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_requests_with_the_same_keys_in_other_orders_never_lock_each_other_out() -> None:
    keys = [f"key-{n}" for n in range(40)]
    orders = enumerate([keys, keys[::-1]] * 6)
    calls: list[Callable[[], Any]] = [partial(_post, order, f"n-{n}") for n, order in orders]
    assert {response.status_code for response in _side_by_side(calls)} == {202}
    assert OutboxEvent.objects.count() == 12 * 40
