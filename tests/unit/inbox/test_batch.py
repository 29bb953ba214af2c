"""Many messages in one transaction: all effects or none, and each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from kafka_integration import Event
from kafka_integration.errors import HookRefused, UndecodableMessage
from kafka_integration.events.envelope import Message
from kafka_integration.events.registry import Handler
from kafka_integration.inbox import insertion
from kafka_integration.inbox.batch import dispatch_all, shared_database
from kafka_integration.inbox.dispatch import Outcome, dispatch
from kafka_integration.models import InboxRecord
from tests.sample.models import Effect

from .messages import TOPIC, Broken, handler, ignore, message, name_of

pytestmark = pytest.mark.django_db

HANDLED, DUPLICATE = Outcome.HANDLED, Outcome.DUPLICATE


def leave(event: Event[Any]) -> None:
    Effect.objects.create(lane=event.key or "", number=event.data.number, event_id=event.id)


def numbered(*numbers: int) -> list[Message]:
    return [message(b'{"name": "cup", "number": %d}' % n, offset=n) for n in numbers]


def run(found: list[Message], function: Callable[[Event[Any]], object] = leave) -> list[Outcome]:
    shared = handler(function, transactional=True)
    return dispatch_all([(one, name_of(one)) for one in found], [shared])


def effects() -> list[int]:
    return list(Effect.objects.order_by("pk").values_list("number", flat=True))


def test_all_are_handled_in_their_order_and_recorded() -> None:
    assert run(numbered(3, 1, 2)) == [HANDLED] * 3
    assert effects() == [3, 1, 2]
    records = InboxRecord.objects.order_by("offset").values_list("offset", "handler", "attempts")
    assert [(offset, attempts) for offset, _, attempts in records] == [(1, 1), (2, 1), (3, 1)]
    assert {name for _, name, _ in records} == {f"{__name__}.leave"}


def test_what_the_group_has_a_record_of_has_no_second_effect() -> None:
    run(numbered(1, 2))
    assert run(numbered(1, 3, 2)) == [DUPLICATE, HANDLED, DUPLICATE]
    assert effects() == [1, 2, 3]


def test_two_of_one_name_in_a_batch_have_one_effect() -> None:
    same = [message(offset=n, id="i", source="/s") for n in (1, 2)]
    assert run(same) == [HANDLED, DUPLICATE]
    assert InboxRecord.objects.get().offset == 1


def test_if_one_fails_none_has_an_effect() -> None:
    def fragile(event: Event[Any]) -> None:
        leave(event)
        if event.data.number == 2:
            raise ValueError("no stock")

    with pytest.raises(ValueError, match="no stock"):
        run(numbered(1, 2, 3), fragile)
    assert effects() == []
    assert not InboxRecord.objects.exists()


def test_one_that_cannot_be_read_fails_before_any_is_handled() -> None:
    with pytest.raises(UndecodableMessage):
        run([*numbered(1), message(b"{")])
    assert effects() == []


def test_a_type_that_nobody_handles_is_passed_over() -> None:
    painted = message(offset=5, type="Painted")
    assert run([*numbered(1), painted]) == [HANDLED, Outcome.IGNORED]
    assert run([painted]) == [Outcome.IGNORED]


def test_more_than_a_statement_takes_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insertion, "most_at_once", lambda connection: 2)
    assert run(numbered(*range(5))) == [HANDLED] * 5
    assert InboxRecord.objects.count() == 5


def hooking(event: Event[Any]) -> None:
    leave(event)
    transaction.on_commit(lambda: None)


def test_a_hook_is_refused_with_its_cure() -> None:
    with pytest.raises(HookRefused, match=r"remove transactional=True from its @handles") as caught:
        run(numbered(1), hooking)
    assert caught.value.using == "default"
    assert effects() == []


def test_also_where_a_message_runs_alone() -> None:
    [one] = numbered(1)
    with pytest.raises(HookRefused):
        dispatch(one, [handler(hooking, transactional=True)], name_of(one), 1)
    assert dispatch(one, [handler(hooking)], name_of(one), 1) is HANDLED


def test_afterwards_hooks_are_allowed_again(django_capture_on_commit_callbacks: Any) -> None:
    run(numbered(1))
    assert "on_commit" not in vars(connection)
    with django_capture_on_commit_callbacks() as hooks:
        transaction.on_commit(lambda: None)
    assert len(hooks) == 1


@pytest.mark.parametrize(
    ("handlers", "shared"),
    [
        ([handler(ignore, transactional=True)], "default"),
        ([handler(ignore)], None),
        ([handler(ignore, transactional=True), handler(ignore, Broken)], None),
        (
            [
                handler(ignore, transactional=True),
                handler(ignore, Broken, transactional=True, using="other"),
            ],
            None,
        ),
        ([], None),
    ],
)
def test_which_messages_may_share_a_transaction(
    handlers: list[Handler], shared: str | None
) -> None:
    assert shared_database(TOPIC, handlers) == shared


def test_a_database_that_does_not_tell_what_is_new_shares_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = type(connection.features)
    monkeypatch.setattr(features, "can_return_rows_from_bulk_insert", False)
    assert shared_database(TOPIC, [handler(ignore, transactional=True)]) is None


def broken(event: Event[Any]) -> None:
    leave(event)
    transaction.set_rollback(True)


def test_a_transaction_that_would_not_commit_is_no_success() -> None:
    with pytest.raises(transaction.TransactionManagementError, match="shares its transaction"):
        run(numbered(1), broken)
    assert effects() == []
