"""``manage.py kafka_outbox``: its words, its JSON and its exit codes."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone

from kafka_integration.management.commands.kafka_outbox import Command
from kafka_integration.management.outbox_parser import model, moment, span
from kafka_integration.models import (
    OutboxDelivery,
    OutboxEvent,
    OutboxHold,
    OutboxQueue,
    OutboxSetup,
    Outcome,
)
from kafka_integration.outbox.leases import Leases
from tests.sample.models import Sample
from tests.unit.outbox.conftest import ALL, TOPIC, queued, stored
from tests.unit.outbox.test_selection import hold

__all__ = ["queued", "stored"]  # fixtures that these tests share with the outbox's

Stored = Callable[..., list[OutboxQueue]]


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("kafka_outbox", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def fails(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value.returncode, str(caught.value)


@pytest.fixture
def held(stored: Stored) -> list[OutboxQueue]:
    """Three events of one key, which is held, and one of another."""
    rows = stored("a", "a", "a", "b")
    hold(rows[0])
    return rows


@pytest.fixture
def sent(stored: Stored) -> list[OutboxEvent]:
    """Two events that went out eight days ago."""
    old = timezone.now() - timedelta(days=8)
    events = [row.event for row in stored("a", "b", created_at=old)]
    OutboxQueue.objects.all().delete()
    for event in events:
        OutboxDelivery.objects.create(event=event, outcome=Outcome.SENT, at=old)
    return events


class TestStats:
    def test_a_page_for_people(self, held: list[OutboxQueue]) -> None:
        text = run("stats", "--no-kafka")
        assert "Waiting: 4. Held keys: 1." in text
        assert "too large" in text
        assert "No relay has ever led here." in text
        assert "! No relay holds the lease" in text

    def test_json(self, held: list[OutboxQueue]) -> None:
        found = json.loads(run("stats", "--no-kafka", "--json"))
        assert found["queued"] == {"number": 4, "kind": "exact"}
        assert [(t["name"], t["events"], t["held"]) for t in found["by_topic"]] == [(TOPIC, 4, 3)]
        assert {stuck["kind"] for stuck in found["stuck"]} >= {"no-relay", "hold"}

    def test_nothing_is_stuck(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        # Other tests' sessions may stand in the database's views.
        monkeypatch.setattr(
            "kafka_integration.management.outbox_console.sessions", lambda using: None
        )
        assert "Nothing is stuck." in run("stats")

    def test_the_relays_that_are_alive(self, db: None) -> None:
        assert "No relay is alive." in run("stats", "--no-kafka")
        OutboxSetup.objects.create(shard_count=2)
        for _ in range(2):
            Leases("default", 30).acquire()
        lines = run("stats", "--no-kafka").splitlines()
        [first, second] = [line for line in lines if f":{os.getpid()} " in line][:2]
        assert first.split()[1:] == ["0-1"]
        assert "none; it stands by" in second


class TestReshard:
    def test_it_says_what_it_did(self, db: None) -> None:
        assert "The outbox has 4 shards now; it had 16." in run("reshard", "4")
        assert json.loads(run("reshard", "8", "--json")) == {"shards": 8, "before": 4}

    def test_events_that_wait_are_counted_and_the_cure_is_named(
        self, held: list[OutboxQueue]
    ) -> None:
        code, text = fails("reshard", "4")
        assert code == 1
        assert "while events wait (4)" in text
        assert "--drain" in text


class TestRetry:
    def test_all_held(self, held: list[OutboxQueue]) -> None:
        assert run("retry", "--all-held") == "Released 1 held key.\n"
        assert not OutboxHold.objects.exists()

    def test_nothing_that_is_meant_is_held(self, held: list[OutboxQueue]) -> None:
        assert fails("retry", "--key", "b")[0] == 1
        assert OutboxHold.objects.exists()

    def test_by_event(self, held: list[OutboxQueue]) -> None:
        found = run("retry", "--json", "--event", str(held[2].event.event_id))
        assert json.loads(found) == {"released": 1}

    def test_it_wants_to_be_told_which(self, held: list[OutboxQueue]) -> None:
        assert fails("retry")[0] == 2
        assert OutboxHold.objects.exists()


class TestDiscard:
    def test_without_a_yes_nothing_happens(
        self, held: list[OutboxQueue], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        code, text = fails("discard", "--key", "a")
        assert code == 2
        assert "3 events will never be sent" in text
        assert OutboxQueue.objects.count() == 4

    @pytest.mark.parametrize(("answer", "left"), [("no", 4), ("", 4), ("y", 1)])
    def test_it_asks_on_a_terminal(
        self, held: list[OutboxQueue], monkeypatch: pytest.MonkeyPatch, answer: str, left: int
    ) -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda question: answer)
        if left == 4:
            assert fails("discard", "--key", "a") == (1, "Nothing was done.")
        else:
            run("discard", "--key", "a")
        assert OutboxQueue.objects.count() == left

    def test_all_held_is_the_culprits(self, held: list[OutboxQueue]) -> None:
        assert run("discard", "--all-held", "--yes") == "Discarded 1 event unsent.\n"
        assert OutboxQueue.objects.in_shards(ALL).sendable().count() == 3

    def test_nothing_matches(self, held: list[OutboxQueue]) -> None:
        assert fails("discard", "--key", "c", "--yes")[0] == 1


class TestReplay:
    def test_a_dry_run_only_counts(self, sent: list[OutboxEvent]) -> None:
        found = json.loads(run("replay", "--topic", TOPIC, "--dry-run", "--json"))
        assert found == {"events": 2, "waiting": 0, "erased": 0}
        assert not OutboxQueue.objects.exists()

    def test_it_says_what_it_did(self, sent: list[OutboxEvent]) -> None:
        assert "Queued 2 events again" in run("replay", "--topic", TOPIC)
        assert OutboxQueue.objects.count() == 2

    def test_by_time(self, sent: list[OutboxEvent]) -> None:
        today = timezone.now().date().isoformat()
        assert fails("replay", "--from-time", today)[0] == 1
        run("replay", "--to-time", today)
        assert OutboxQueue.objects.count() == 2

    def test_as_new(self, sent: list[OutboxEvent]) -> None:
        found = json.loads(run("replay", "--key", "a", "--as-new", "--json"))
        assert (found["queued"], found["last_id"]) == (1, sent[0].pk)
        assert OutboxEvent.objects.count() == 3

    def test_everything_is_never_meant_by_saying_nothing(self, sent: list[OutboxEvent]) -> None:
        assert fails("replay")[0] == 2


class TestBackfill:
    def test_through_the_models_declaration(self, db: None) -> None:
        with override_settings(KAFKA_ENABLED=False):
            Sample.objects.bulk_create([Sample(lane="a", number=n) for n in range(3)])
        first = Sample.objects.earliest("pk").pk
        found = run("backfill", "sample.Sample", "--topic", TOPIC, "--after-pk", str(first))
        assert "Published 2 rows of sample.Sample" in found
        assert OutboxQueue.objects.count() == 2

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (("sample.Sample", "--topic", "sample.absent.json"), 1),
            (("sample.Sample", "--topic", TOPIC, "--after-pk", "x"), 2),
            (("sample.Absent", "--topic", TOPIC), 1),
        ],
    )
    def test_what_cannot_be(self, db: None, arguments: tuple[str, ...], code: int) -> None:
        assert fails("backfill", *arguments)[0] == code


class TestPurge:
    def test_outbox_and_inbox(self, sent: list[OutboxEvent]) -> None:
        found = json.loads(run("purge", "--json"))
        assert found == {"events": 2, "kept": 0, "records": 0}
        assert not OutboxEvent.objects.exists()

    def test_no_length_of_time_is_not_none_given(self, stored: Stored) -> None:
        [row] = stored("a", created_at=timezone.now() - timedelta(minutes=1))
        OutboxDelivery.objects.create(
            event=row.event, outcome=Outcome.SENT, at=timezone.now() - timedelta(minutes=1)
        )
        row.delete()
        run("purge", "--older-than", "0", "--only", "outbox")
        assert not OutboxEvent.objects.exists()

    def test_only_what_is_older(self, sent: list[OutboxEvent]) -> None:
        assert json.loads(run("purge", "--older-than", "9d", "--json"))["events"] == 0
        assert json.loads(run("purge", "--only", "inbox", "--json")) == {"records": 0}
        assert OutboxEvent.objects.count() == 2


class TestErase:
    def test_by_key(self, sent: list[OutboxEvent]) -> None:
        assert "Erased 1 row." in run("erase", "--key", "a", "--yes")
        assert bytes(OutboxEvent.objects.get(pk=sent[0].pk).value) == b""

    def test_the_unsent_are_refused(self, held: list[OutboxQueue]) -> None:
        code, text = fails("erase", "--key", "a", "--yes")
        assert code == 1
        assert "discard" in text

    def test_nothing_matches(self, sent: list[OutboxEvent]) -> None:
        assert fails("erase", "--key", "c", "--yes")[0] == 1


class TestArguments:
    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("7d", timedelta(days=7)),
            ("1.5", timedelta(days=1.5)),
            ("12h", timedelta(hours=12)),
            ("30m", timedelta(minutes=30)),
            ("0", timedelta()),
        ],
    )
    def test_lengths_of_time(self, text: str, meant: timedelta) -> None:
        assert span(text) == meant

    @pytest.mark.parametrize("text", ["", "7w", "-1d", "d", "1e3d"])
    def test_no_lengths_of_time(self, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError):
            span(text)

    def test_times(self) -> None:
        assert moment("2026-03-01").isoformat().startswith("2026-03-01T00:00:00")
        assert moment("2026-03-01T12:30Z").isoformat() == "2026-03-01T12:30:00+00:00"

    @pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-03-01T25:00"])
    def test_no_times(self, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError):
            moment(text)

    def test_models(self) -> None:
        assert model("sample.Sample") is Sample
        with pytest.raises(argparse.ArgumentTypeError, match=r"app\.Model"):
            model("Sample")


def test_a_signal_ends_it_after_a_batch_and_says_how_to_go_on(
    sent: list[OutboxEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_at_once(stop: Callable[[], None]) -> Any:
        from contextlib import nullcontext

        stop()
        return nullcontext()

    monkeypatch.setattr("kafka_integration.management.long_work.stopping_on_signals", stop_at_once)
    code, text = fails("replay", "--topic", TOPIC, "--batch-size", "1")
    assert code == 130
    assert f"--from-id {sent[0].pk + 1} --to-id {sent[1].pk}." in text
    assert OutboxQueue.objects.count() == 1


def test_without_a_command_every_one_is_named() -> None:
    parser = Command().create_parser("manage.py", "kafka_outbox")
    [commands] = [
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    ]
    assert Command.missing_args_message
    for name in commands.choices:
        assert name in Command.missing_args_message
    with pytest.raises(CommandError, match="Name what to do: stats"):
        parser.parse_args([])
