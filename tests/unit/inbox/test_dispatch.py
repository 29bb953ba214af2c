"""From a message to a handler's effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, transaction

from kafka_integration import Event
from kafka_integration.errors import InvalidMessage, UndecodableMessage, UnknownVersion
from kafka_integration.events.envelope import Message
from kafka_integration.events.registry import Handler
from kafka_integration.inbox.dispatch import Outcome, choose, dispatch, read
from kafka_integration.models import InboxRecord
from tests.sample.models import Effect

from .messages import Broken, Made, MadeAnew, handler, ignore, message, name_of


def run(found: Message, *handlers: Handler, attempt: int = 1) -> Outcome:
    return dispatch(found, handlers, name_of(found), attempt)


def effect(event: Event[Any]) -> None:
    Effect.objects.create(lane=event.key or "", number=event.data.number, event_id=event.id)


def test_type_and_version_choose_the_handler() -> None:
    one, two, other = handler(ignore), handler(ignore, MadeAnew), handler(ignore, Broken)
    handlers = [one, two, other]
    assert choose(message(type="Made", dataversion="1"), handlers) is one
    assert choose(message(type="Made", dataversion="2"), handlers) is two
    assert choose(message(type="Broken", dataversion="1"), handlers) is other
    assert choose(message(type="Broken"), handlers) is other


def test_a_bare_message_goes_to_the_only_type() -> None:
    one = handler(ignore)
    assert choose(message(), [one]) is one


def test_a_bare_message_with_several_types_says_so() -> None:
    with pytest.raises(InvalidMessage, match=r"ce_type header.*Broken, Made"):
        choose(message(), [handler(ignore), handler(ignore, Broken)])


def test_another_topics_handler_is_not_looked_at() -> None:
    elsewhere = Handler("other.made.json", Made, "things", ignore)
    assert choose(message(type="Made"), [elsewhere]) is None


def test_a_type_that_no_handler_names_is_ignored_whatever_its_bytes() -> None:
    assert run(message(b"\xff", type="Painted"), handler(ignore)) is Outcome.IGNORED


@pytest.mark.parametrize("version", ["9", "two", "", "9" * 5000])
def test_a_known_type_in_an_unknown_version(version: str) -> None:
    with pytest.raises(UnknownVersion, match=r"handles version 1\."):
        choose(message(type="Made", dataversion=version), [handler(ignore)])


def test_no_version_is_fine_only_while_there_is_one() -> None:
    with pytest.raises(UnknownVersion, match=r"without ce_dataversion.*version 1, 2"):
        choose(message(type="Made"), [handler(ignore), handler(ignore, MadeAnew)])


def test_an_event_carries_what_the_sender_said() -> None:
    found = message(id="5", source="/shop", type="Made", time="2024-05-06T07:08:09Z")
    event = read(found, handler(ignore), name_of(found))
    assert event.data == Made(name="cup")
    assert (event.id, event.source, event.type, event.version) == ("5", "/shop", "Made", 1)
    assert event.time == datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    assert event.key == "k"
    assert event.message is found


def test_a_bare_event_is_named_by_its_place() -> None:
    found = message(key=b"\xff")
    event = read(found, handler(ignore), name_of(found))
    assert (event.id, event.source, event.type) == ("1/7", "kafka:cluster/topic", "Made")
    assert event.key is None


@pytest.mark.parametrize("value", [None, b"{", b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_json(value: bytes | None) -> None:
    with pytest.raises(UndecodableMessage):
        run(message(value), handler(ignore))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{}", "name: Field required"),
        (b'{"name": 5, "number": "x"}', "name: Input should be a valid string; number: "),
        (b"[]", "value: Input should be a valid dictionary"),
        (b"null", "value: Input should be"),
    ],
)
def test_a_contract_that_is_not_kept_is_told_readably(value: bytes, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason) as caught:
        run(message(value), handler(ignore))
    assert "Made" in str(caught.value)
    assert "errors.pydantic.dev" not in str(caught.value)


@pytest.mark.django_db
def test_record_and_effect_go_in_together() -> None:
    found = message(id="1", source="s")
    assert run(found, handler(effect), attempt=2) is Outcome.HANDLED
    assert Effect.objects.count() == 1
    assert InboxRecord.objects.get().attempts == 2


@pytest.mark.django_db
def test_a_second_delivery_has_no_effect() -> None:
    for expected in (Outcome.HANDLED, Outcome.DUPLICATE):
        assert run(message(id="1", source="s"), handler(effect)) is expected
    assert Effect.objects.count() == 1


@pytest.mark.django_db
def test_a_handler_that_raises_leaves_neither_record_nor_effect() -> None:
    def fail(event: Event[Any]) -> None:
        effect(event)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(message(), handler(fail))
    assert not Effect.objects.exists()
    assert not InboxRecord.objects.exists()


def broken_by_a_caught_error(event: Event[Any]) -> None:
    effect(event)
    try:
        with transaction.atomic(savepoint=False):
            raise IntegrityError
    except IntegrityError:
        pass


def broken_by_rollback(event: Event[Any]) -> None:
    effect(event)
    transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("breaks", [broken_by_a_caught_error, broken_by_rollback])
def test_a_transaction_that_would_not_commit_does_not_count_as_done(
    breaks: Callable[[Event[Any]], None],
) -> None:
    with pytest.raises(transaction.TransactionManagementError, match=breaks.__name__):
        run(message(), handler(breaks))
    assert not InboxRecord.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_hook_that_fails_after_the_commit_does_not_undo_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def hook() -> None:
        raise ValueError("mail server is away")

    def with_hook(event: Event[Any]) -> None:
        effect(event)
        transaction.on_commit(hook)

    assert run(message(), handler(with_hook)) is Outcome.HANDLED
    assert Effect.objects.count() == 1
    assert "mail server is away" in caplog.text
    assert run(message(), handler(with_hook)) is Outcome.DUPLICATE


@pytest.mark.django_db(transaction=True)
def test_an_effect_whose_record_fails_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **more: Any) -> bool:
        raise OperationalError("the connection is gone")

    monkeypatch.setattr("kafka_integration.inbox.dispatch.record_done", refuse)
    with pytest.raises(OperationalError):
        run(message(id="1", source="s"), handler(effect))
    assert not Effect.objects.exists()
