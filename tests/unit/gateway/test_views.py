"""Requests as they come, and what is in the outbox afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from kafka_integration.models import GatewayReceipt, OutboxEvent, OutboxQueue

from .conftest import NOTE_ID, NOTES, TOKEN, VOTES, note

Post = Callable[..., Any]


def refused(response: Any, status: int, name: str) -> dict[str, Any]:
    """Assert that a request was refused as a problem, and wrote nothing."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"urn:kafka-gateway:{name}"
    assert problem["status"] == status
    assert not OutboxEvent.objects.exists()
    assert not GatewayReceipt.objects.exists()
    return problem


def pointers(problem: dict[str, Any]) -> list[str]:
    return [item["pointer"] for item in problem["errors"]]


def test_an_event_stands_in_the_outbox_as_publish_would_have_put_it(post: Post) -> None:
    response = post(note(headers={"source": "frontend"}))
    assert response.status_code == 202
    [row] = OutboxEvent.objects.all()
    assert response.json() == {"events": [{"id": str(row.event_id), "topic": NOTES}]}
    assert (row.topic, row.key) == (NOTES, "7")
    assert json.loads(bytes(row.value)) == {"note_id": NOTE_ID, "text": "hello", "price": None}
    assert row.headers["ce_type"] == "NoteAdded"
    assert row.headers["source"] == "frontend"
    assert row.headers["ce_authtype"] == "api_key"
    assert row.headers["ce_authid"] == "shop"
    assert OutboxQueue.objects.count() == 1


def test_many_events_stand_in_the_order_of_the_request(post: Post) -> None:
    response = post(*(note(key=str(n)) for n in (3, 1, 2)))
    assert response.status_code == 202
    rows = OutboxQueue.objects.order_by("position").select_related("event")
    assert [row.event.key for row in rows] == ["3", "1", "2"]
    ids = [item["id"] for item in response.json()["events"]]
    assert ids == [str(row.event.event_id) for row in rows]


def test_one_wrong_event_keeps_all_of_them_out(post: Post) -> None:
    problem = refused(post(note(), note(data={"text": "x" * 201})), 422, "invalid")
    assert pointers(problem) == ["#/events/1/data/text"]


def test_all_errors_are_named_at_once(post: Post) -> None:
    wrong = note(data={"note_id": "7"}), note(data={"colour": "red"}), note(data={"text": 5})
    problem = refused(post(*wrong), 422, "invalid")
    assert pointers(problem) == [
        "#/events/0/data/note_id",
        "#/events/1/data/colour",
        "#/events/2/data/text",
    ]
    assert "red" not in json.dumps(problem)


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        (note(key=""), "#/events/0/key"),
        (note(key="a\x00b"), "#/events/0/key"),
        (note(key="x" * 251), "#/events/0/key"),
        (note(key=7), "#/events/0/key"),
        (note(extra=1), "#/events/0/extra"),
        (note(type="VoteCast"), "#/events/0/type"),
        (note(version=2), "#/events/0/version"),
        (note(headers={"ce_id": "mine"}), "#/events/0/headers/ce_id"),
        (note(headers={"CE_authid": "me"}), "#/events/0/headers/CE_authid"),
        (note(headers={"content-type": "text/html"}), "#/events/0/headers/content-type"),
        (note(headers={"a": "b\x00"}), "#/events/0/headers/a"),
        (note(data={"text": "\ud800"}), "#/events/0/data/text"),
        ({"topic": VOTES, "key": "1", "data": {"choice": 1}}, "#/events/0/type"),
        ({"topic": VOTES, "key": "1", "type": "VoteCast", "data": {}}, "#/events/0/data/choice"),
    ],
)
def test_what_cannot_be_kept_or_is_not_known_is_pointed_at(
    post: Post, event: dict[str, Any], pointer: str
) -> None:
    assert pointer in pointers(refused(post(event), 422, "invalid"))


def test_numbers_that_would_become_null_are_refused(post: Post) -> None:
    body = b'{"events": [{"topic": "%s", "key": "1", "type": "VoteCast", "data": '
    body = body % VOTES.encode() + b'{"choice": 1, "weight": 1e999}}]}'
    assert pointers(refused(post(body=body), 422, "invalid")) == ["#/events/0/data/weight"]


def test_a_whole_number_may_be_written_with_a_fraction(post: Post) -> None:
    body = b'{"events": [{"topic": "%s", "key": "1", "type": "VoteCast", "data": '
    body = body % VOTES.encode() + b'{"choice": 7.0, "weight": 2}}]}'
    assert post(body=body).status_code == 202
    assert json.loads(bytes(OutboxEvent.objects.get().value)) == {"choice": 7, "weight": 2.0}
    OutboxEvent.objects.all().delete()
    refused(post(body=body.replace(b"7.0", b"7.5")), 422, "invalid")


def test_the_newest_version_is_meant_unless_another_is_named(post: Post) -> None:
    vote = {"topic": VOTES, "key": "1", "type": "VoteCast"}
    new = vote | {"data": {"choice": 1, "weight": 0.5}}
    old = vote | {"data": {"choice": 1}, "version": 1}
    assert post(new, old).status_code == 202
    versions = [row.headers["ce_dataversion"] for row in OutboxEvent.objects.order_by("pk")]
    assert versions == ["2", "1"]
    assert {row.headers["ce_type"] for row in OutboxEvent.objects.all()} == {"VoteCast"}


def test_the_declaration_decides_who_may_send_what(post: Post) -> None:
    vote = {"topic": VOTES, "key": "1", "type": "VoteWithdrawn"}
    theirs, own = vote | {"data": {"voter": "bob"}}, vote | {"data": {"voter": "shop"}}
    problem = refused(post(own, theirs), 403, "not-permitted")
    assert pointers(problem) == ["#/events/1"]
    assert post(own).status_code == 202


@pytest.mark.parametrize(
    "body",
    [b" ", b"{", b"\xff", b"[" * 5000, b'{"events": NaN}'],
    ids=["empty", "half", "no UTF-8", "deep", "NaN"],
)
def test_what_is_no_json_is_refused(post: Post, body: bytes) -> None:
    refused(post(body=body), 400, "malformed")


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b"null", b'"x"', b"{}", b'{"events": []}', b'{"events": {}}']
)
def test_what_is_json_of_another_shape_is_refused(post: Post, body: bytes) -> None:
    refused(post(body=body), 422, "invalid")


def test_json_may_be_nested_only_so_deep(post: Post) -> None:
    body = b'{"events": ' + b"[" * 100 + b"]" * 100 + b"}"
    assert "deeper" in refused(post(body=body), 422, "invalid")["errors"][0]["detail"]


def test_topics_that_are_not_open_are_refused(post: Post) -> None:
    problem = refused(post(note(), note(topic="campaign.created.json")), 403, "topic-closed")
    assert pointers(problem) == ["#/events/1/topic"]


def test_by_default_no_topic_is_open(post: Post, settings: Settings) -> None:
    del settings.KAFKA_GATEWAY_TOPICS
    problem = refused(post(note()), 403, "topic-closed")
    assert "No topic is open" in problem["detail"]
    assert "KAFKA_GATEWAY_TOPICS" in problem["detail"]


def test_a_body_may_have_only_so_many_bytes_and_events(post: Post, settings: Settings) -> None:
    settings.KAFKA_GATEWAY_MAX_EVENTS = 2
    assert pointers(refused(post(note(), note(), note()), 422, "invalid")) == ["#/events"]
    settings.KAFKA_GATEWAY_MAX_BYTES = 100
    refused(post(note()), 413, "too-large")


def test_django_s_own_limit_is_told_in_the_same_way(post: Post, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 50
    refused(post(note()), 413, "too-large")


def test_an_event_that_kafka_would_not_take_keeps_all_out(post: Post, settings: Settings) -> None:
    settings.KAFKA_MAX_MESSAGE_BYTES = 2000
    large = note(headers={"a": "x" * 900, "b": "y" * 900})
    problem = refused(post(note(), large), 413, "too-large")
    assert pointers(problem) == ["#/events/1"]


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_only_what_is_declared_as_json_is_read(post: Post, kind: str) -> None:
    refused(post(body=b"{}", content_type=kind), 415, "wrong-media-type")


def test_each_address_has_one_method(client: Client, db: None) -> None:
    for path, method in (("events", "get"), ("events", "delete"), ("session", "post")):
        response = getattr(client, method)(f"/kafka/{path}")
        refused(response, 405, "method-not-allowed")
        assert response["Allow"] == ("POST" if path == "events" else "GET")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer ü"])
def test_a_wrong_token_is_refused_and_no_session_helps(browser: Client, header: str) -> None:
    response = browser.post(
        "/kafka/events", "{}", content_type="application/json", headers={"Authorization": header}
    )
    refused(response, 401, "not-signed-in")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_nobody_is_refused(client: Client, db: None) -> None:
    refused(client.post("/kafka/events", {}, content_type="application/json"), 401, "not-signed-in")
    assert client.get("/kafka/session").status_code == 401
    assert client.get("/kafka/openapi.json").status_code == 401


def test_a_session_needs_its_csrf_token_and_then_may_send(browser: Client, user: User) -> None:
    body = json.dumps({"events": [note()]})
    without = browser.post("/kafka/events", body, content_type="application/json")
    assert "X-CSRFToken" in refused(without, 403, "csrf")["detail"]
    token = browser.get("/kafka/session").json()["csrf_token"]
    response = browser.post(
        "/kafka/events", body, content_type="application/json", headers={"X-CSRFToken": token}
    )
    assert response.status_code == 202
    headers = OutboxEvent.objects.get().headers
    assert (headers["ce_authtype"], headers["ce_authid"]) == ("app_user", str(user.pk))


def test_a_user_without_the_permission_is_refused(browser: Client, user: User) -> None:
    token = browser.get("/kafka/session").json()["csrf_token"]
    user.user_permissions.clear()
    response = browser.post(
        "/kafka/events", "{}", content_type="application/json", headers={"X-CSRFToken": token}
    )
    assert "send_events" in refused(response, 403, "not-permitted")["detail"]


def test_the_session_tells_what_may_be_sent(browser: Client, user: User) -> None:
    found = browser.get("/kafka/session").json()
    assert found.pop("csrf_token")
    assert found == {
        "sender": f"user:{user.pk}",
        "topics": [NOTES, VOTES],
        "max_events": 100,
        "max_bytes": 1_000_000,
    }


def test_a_sender_has_so_many_events_a_minute(
    post: Post, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka_integration.gateway.allowance.time.time", lambda: 1_000_000_020.0)
    settings.KAFKA_GATEWAY_EVENTS_PER_MINUTE = 3
    assert post(note(), note()).status_code == 202
    OutboxEvent.objects.all().delete()
    response = post(note(), note())
    refused(response, 429, "too-many")
    assert response["Retry-After"] == "60"
    refused(post(note()), 429, "too-many")
    monkeypatch.setattr("kafka_integration.gateway.allowance.time.time", lambda: 1_000_000_080.0)
    assert post(note()).status_code == 202


def test_the_same_key_and_body_give_one_set_of_events_and_one_answer(post: Post) -> None:
    first = post(note(), note(), headers={"Idempotency-Key": "k-1"})
    again = post(note(), note(), headers={"Idempotency-Key": '"k-1"'})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert OutboxEvent.objects.count() == 2


def test_the_same_answer_is_given_after_the_rules_have_changed(
    post: Post, settings: Settings
) -> None:
    first = post(note(), headers={"Idempotency-Key": "k"})
    settings.KAFKA_GATEWAY_TOPICS = []
    assert post(note(), headers={"Idempotency-Key": "k"}).content == first.content


def test_the_same_key_with_another_body_is_refused(post: Post) -> None:
    post(note(), headers={"Idempotency-Key": "k"})
    response = post(note(key="8"), headers={"Idempotency-Key": "k"})
    assert response.status_code == 422
    assert response.json()["type"] == "urn:kafka-gateway:key-reused"
    assert OutboxEvent.objects.count() == 1


def test_keys_of_different_senders_are_different(post: Post, browser: Client) -> None:
    post(note(), headers={"Idempotency-Key": "k"})
    token = browser.get("/kafka/session").json()["csrf_token"]
    body = json.dumps({"events": [note(key="other")]})
    headers = {"X-CSRFToken": token, "Idempotency-Key": "k"}
    response = browser.post("/kafka/events", body, content_type="application/json", headers=headers)
    assert response.status_code == 202


def test_a_refused_request_leaves_its_key_free(post: Post) -> None:
    refused(post(note(key=""), headers={"Idempotency-Key": "k"}), 422, "invalid")
    assert post(note(), headers={"Idempotency-Key": "k"}).status_code == 202


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, "ü"])
def test_a_key_that_cannot_be_kept_is_refused(post: Post, key: str) -> None:
    refused(post(note(), headers={"Idempotency-Key": key}), 400, "malformed")


def test_switched_off_it_takes_nothing_rather_than_lose_it(post: Post, settings: Settings) -> None:
    settings.KAFKA_ENABLED = False
    response = post(note())
    refused(response, 503, "unavailable")
    assert response["Retry-After"] == "60"


def test_a_database_that_is_busy_is_no_error_of_ours(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("kafka_integration.gateway.posting.publish", busy)
    refused(post(note()), 503, "unavailable")
