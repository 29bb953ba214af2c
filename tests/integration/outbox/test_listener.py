"""Commits wake a relay that listens, on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction

from kafka_integration.flag import Flag
from kafka_integration.models import OutboxQueue
from kafka_integration.models.setup import CHANNEL
from kafka_integration.outbox import function
from kafka_integration.outbox import listener as module
from kafka_integration.outbox import relay as relay_module
from kafka_integration.outbox.listener import Listener
from kafka_integration.outbox.relay import Relay
from mediajira.campaigns.models import Campaign

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 30.0
LONG = 600.0


@pytest.fixture(autouse=True)
def _notifying(settings: Any) -> None:
    settings.KAFKA_OUTBOX_NOTIFY = True


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flag]:
    """What a listener sets, which listens already."""
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.1)
    flag = Flag()
    listener = Listener("default", flag, CHANNEL)
    listener.start()
    assert flag.wait(PATIENCE), "what came before it listened has to be looked for"
    flag.clear()
    yield flag
    listener.close()


@pytest.mark.parametrize("events", [1, 2])
def test_a_commit_is_heard(topic: str, send: Callable[..., None], heard: Flag, events: int) -> None:
    send(topic, [("a", number) for number in range(events)])

    assert heard.wait(PATIENCE)


def test_so_is_one_without_the_servers_function(
    topic: str, send: Callable[..., None], heard: Flag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "is_usable", lambda using: False)
    send(topic, [("a", 1)])

    assert heard.wait(PATIENCE)


def test_a_save_is_heard(heard: Flag, django_user_model: Any) -> None:
    owner = django_user_model.objects.create(username="mia")
    Campaign.objects.create(name="Spring", owner=owner)

    assert heard.wait(PATIENCE)
    assert OutboxQueue.objects.count() == 1


def test_nothing_is_heard_before_the_commit_nor_of_a_rollback(
    topic: str, send: Callable[..., None], heard: Flag
) -> None:
    with transaction.atomic():
        send(topic, [("a", 1)])
        assert not heard.wait(1.0)
        transaction.set_rollback(True)

    assert not heard.wait(1.0)


def test_it_listens_again_when_its_connection_was_ended(
    topic: str, send: Callable[..., None], heard: Flag
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = %s",
            [f"LISTEN {CHANNEL}"],
        )
        assert cursor.fetchone() == (1,)
    assert heard.wait(PATIENCE), "what came meanwhile has to be looked for"
    heard.clear()

    send(topic, [("a", 1)])

    assert heard.wait(PATIENCE)


def test_writers_tell_nobody_unless_they_are_asked_to(
    topic: str, send: Callable[..., None], heard: Flag, settings: Any
) -> None:
    settings.KAFKA_OUTBOX_NOTIFY = False

    send(topic, [("a", 1), ("b", 2)])

    assert not heard.wait(1.0)


def test_an_idle_relay_goes_to_work_at_once(
    topic: str,
    send: Callable[..., None],
    eventually: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "_SHORTEST_PAUSE", LONG)
    relay = Relay(idle_seconds=LONG)

    def run() -> None:
        relay.run()
        connections.close_all()

    running = threading.Thread(target=run)
    running.start()
    try:
        eventually(lambda: relay.leases.shards, what="the relay leads")
        send(topic, [("a", 1)])
        eventually(lambda: not OutboxQueue.objects.exists(), what="the event is out")
    finally:
        relay.stop()
        running.join(PATIENCE)
    assert not running.is_alive()
