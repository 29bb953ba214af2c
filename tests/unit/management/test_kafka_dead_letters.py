"""``manage.py kafka_dead_letters``: its words, its JSON and its exit codes."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from django.utils import timezone

from kafka_integration import Event
from kafka_integration.events.registry import Registry, registry
from kafka_integration.management.letters_page import print_list
from kafka_integration.management.letters_parser import count, moment_or_ago, number, seconds
from kafka_integration.models import InboxRecord, InboxStatus
from tests.unit.inbox.letters import dead, effect, effects, fail
from tests.unit.inbox.messages import GROUP, handler, message

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

DEAD, PARKED, DISCARDED = InboxStatus.DEAD, InboxStatus.PARKED, InboxStatus.DISCARDED


@pytest.fixture(autouse=True)
def declared() -> Iterator[Registry]:
    """The group, with a handler that leaves one effect a call."""
    with registry.isolated() as empty:
        empty.handlers.append(handler(effect))
        yield empty


def run(*arguments: object) -> str:
    out = io.StringIO()
    call_command("kafka_dead_letters", *map(str, arguments), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def fails(*arguments: object) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value.returncode, str(caught.value)


def statuses() -> list[str]:
    return list(InboxRecord.objects.order_by("pk").values_list("status", flat=True))


class TestList:
    def test_the_newest_first(self) -> None:
        first = dead(message(offset=1, key=b"cup"))
        second = dead(message(offset=2), last_error="KeyError: 'x'\nmore")
        head, *lines = run("list").splitlines()
        assert head.split() == ["no.", "group", "topic", "key", "age", "tries", "error"]
        assert [int(line.split()[0]) for line in lines] == [second.pk, first.pk]
        assert "KeyError: 'x' more" in lines[0]
        assert "cup" in lines[1]

    def test_filters_and_status(self) -> None:
        dead(message(offset=1)).retry()
        dead(message(offset=2), group="others")
        assert "No letter matches." in run("list", "--group", GROUP)
        text = run("list", "--status", "parked", "--status", "dead")
        assert ("parked" in text, "dead" in text, "status" in text) == (True, True, True)

    def test_no_more_than_asked_for(self) -> None:
        for offset in range(3):
            dead(message(offset=offset))
        assert "There are more than these 2" in run("list", "--limit", "2")
        assert "There are more" not in run("list", "--limit", "3")

    def test_json(self) -> None:
        record = dead(message(key=b"\xff", id="e1", source="s"))
        found = json.loads(run("list", "--json"))
        [letter] = found["letters"]
        assert found["more"] is False
        assert letter["number"] == record.pk
        assert (letter["key"], letter["event_id"], letter["status"]) == ("0xff", "e1", "dead")
        assert datetime.fromisoformat(letter["created_at"]) == record.created_at

    def test_it_fits_a_terminal(self) -> None:
        from rich.console import Console

        long = "x" * 300
        record = dead(message(), group=long[:255], topic=f"{long[:240]}.json", last_error=long)
        out = io.StringIO()
        console = Console(file=out, width=100)
        print_list(console, [record], timezone.now(), statuses=True)
        assert len(out.getvalue().splitlines()) == 2
        assert max(map(len, out.getvalue().splitlines())) <= 100

    def test_nothing_in_a_letter_commands_the_terminal(self) -> None:
        record = dead(message(b"\x1b[2J", key=b"\x1b[1m"), last_error="\x1b]0;title\x07")
        for text in (run("list"), run("show", record.pk)):
            assert "\x1b" not in text
            assert "\x07" not in text


class TestShow:
    def test_all_that_is_known(self) -> None:
        record = dead(
            message(b'{"name":1}', id="e1", source="s", type="Made", headers=[("raw", b"\xff")])
        )
        text = run("show", record.pk)
        for said in (
            f"Letter {record.pk}: dead",
            "thing.made.json[1]@7",
            "e1 of s",
            "app.events.take",
            "thing.made.json.dlq",
            "Reason\n  old\n",
            "0xff",
            '"name": 1',
            f"manage.py kafka_dead_letters redrive {record.pk} --dry-run",
        ):
            assert said in text

    def test_json_has_the_bytes(self) -> None:
        record = dead(message(b"\xff", headers=[("h", b"v")]))
        found = json.loads(run("show", record.pk, "--json"))
        assert found["value"] == {"base64": "/w=="}
        assert found["headers"] == [["h", "v"]]
        assert found["next"][0]["command"].endswith("--dry-run")

    def test_a_tombstone_has_no_value(self) -> None:
        assert "null (no value at all)" in run("show", dead(message(None)).pk)

    def test_a_letter_that_is_not_there(self) -> None:
        assert fails("show", "1")[0] == 1


class TestRedrive:
    def test_it_is_handed_to_the_groups_consumer(self) -> None:
        record = dead(message())
        text = run("redrive", record.pk, "--yes")
        assert "Handed 1 dead letter on to kafka_consume --group things" in text
        assert (statuses(), effects()) == ([PARKED], 0)
        assert fails("redrive", record.pk, "--yes")[0] == 1
        assert statuses() == [PARKED]

    def test_json(self) -> None:
        dead(message())
        found = json.loads(run("redrive", "--group", GROUP, "--yes", "--json"))
        assert found == {"redriven": 1, "groups": {GROUP: 1}}

    def test_a_group_that_nobody_handles_here(self) -> None:
        dead(message(), group="gone")
        code, text = fails("redrive", "--all", "--yes")
        assert (code, statuses()) == (1, [DEAD])
        assert "No handler belongs to group 'gone'" in text

    @pytest.mark.parametrize("command", ["redrive", "discard"])
    def test_it_wants_to_be_told_which(self, command: str) -> None:
        dead(message())
        assert fails(command, "--yes")[0] == 2
        assert statuses() == [DEAD]

    @pytest.mark.parametrize("command", ["redrive", "discard"])
    def test_without_a_yes_nothing_happens(
        self, command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dead(message())
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        code, text = fails(command, "--all")
        assert (code, statuses()) == (2, [DEAD])
        assert "1 dead letter will" in text

    @pytest.mark.parametrize(("answer", "status"), [("n", DEAD), ("y", PARKED)])
    def test_it_asks_on_a_terminal(
        self, monkeypatch: pytest.MonkeyPatch, answer: str, status: str
    ) -> None:
        dead(message())
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda question: answer)
        if status == DEAD:
            assert fails("redrive", "--all") == (1, "Nothing was done.")
        else:
            run("redrive", "--all")
        assert statuses() == [status]

    def test_now(self) -> None:
        dead(message(offset=1))
        dead(message(b"{", offset=2))
        code, text = fails("redrive", "--all", "--now", "--yes")
        assert (code, statuses(), effects()) == (1, [InboxStatus.DONE, DEAD], 1)
        assert "still dead" in text
        out = run("discard", "--error", "Undecodable", "--yes", "--json")
        assert json.loads(out) == {"discarded": 1}

    def test_a_database_that_goes_away_is_said_in_one_line(self, declared: Registry) -> None:
        def lost(event: Event[Any]) -> None:
            raise OperationalError("database is locked")

        declared.handlers[:] = [handler(lost)]
        dead(message())
        code, text = fails("redrive", "--all", "--now", "--yes")
        assert (code, statuses()) == (1, [DEAD])
        assert text.startswith("The database is away")


class TestDryRun:
    def test_fine(self) -> None:
        record = dead(message())
        text = run("redrive", record.pk, "--dry-run")
        assert f"Letter {record.pk} would be handled, handler " in text
        assert "rolled back" in text
        assert (statuses(), effects()) == ([DEAD], 0)

    def test_it_says_that_hooks_did_not_run(self, declared: Registry) -> None:
        declared.handlers[:] = [handler(lambda event: transaction.on_commit(lambda: None))]
        dead(message())
        assert "none ran: 1 registered" in run("redrive", "--all", "--dry-run")

    def test_failures_are_told_by_their_errors(self, declared: Registry) -> None:
        declared.handlers[:] = [handler(fail)]
        for offset in range(5):
            dead(message(offset=offset))
        out = io.StringIO()
        with pytest.raises(CommandError) as caught:
            call_command(
                "kafka_dead_letters", "redrive", "--all", "--dry-run", stdout=out, stderr=out
            )
        text = out.getvalue()
        assert (caught.value.returncode, str(caught.value)) == (1, "5 of 5 would not go well.")
        assert text.count("Traceback") == 1
        assert "5 would fail again: ValueError: still broken" in text
        assert (statuses(), effects()) == ([DEAD] * 5, 0)

    def test_json(self) -> None:
        dead(message(offset=1))
        dead(message(b"{", offset=2))
        out = io.StringIO()
        arguments = ("redrive", "--all", "--dry-run", "--json")
        with pytest.raises(CommandError):
            call_command("kafka_dead_letters", *arguments, stdout=out, stderr=io.StringIO())
        found = json.loads(out.getvalue())
        assert (found["fine"], found["fails"], found["undecided"]) == (1, 1, 0)
        assert [error["letters"] for error in found["errors"]] == [1]
        assert [first["verdict"] for first in found["first"]] == ["fine", "fails"]

    def test_nothing_matches(self) -> None:
        assert fails("redrive", "--all", "--dry-run")[0] == 1


class TestDiscard:
    def test_it_is_for_good(self) -> None:
        record = dead(message())
        dead(message(offset=8), group="gone")
        assert run("discard", "--all", "--yes") == "Discarded 2 dead letters.\n"
        assert statuses() == [DISCARDED, DISCARDED]
        assert fails("redrive", record.pk, "--yes")[0] == 1
        assert fails("discard", record.pk, "--yes")[0] == 1


class TestArguments:
    def test_a_time_or_so_long_ago(self) -> None:
        before = timezone.now() - timedelta(hours=2)
        assert before <= moment_or_ago("2h") <= timezone.now() - timedelta(hours=2)
        assert moment_or_ago("2026-03-01T12:30Z").isoformat() == "2026-03-01T12:30:00+00:00"

    @pytest.mark.parametrize(
        ("reader", "text"),
        [
            (moment_or_ago, "yesterday"),
            (moment_or_ago, "9" * 40),
            (number, "-1"),
            (number, "9" * 40),
            (number, "x"),
            (count, "0"),
            (seconds, "nan"),
            (seconds, "0"),
            (seconds, "x"),
        ],
    )
    def test_what_cannot_be(self, reader: Any, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError):
            reader(text)

    def test_help_has_examples(self, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("list", "show", "redrive", "discard"):
            with pytest.raises(SystemExit):
                call_command("kafka_dead_letters", name, "--help")
            assert "kafka_dead_letters " + name in capsys.readouterr().out


def test_a_signal_ends_it_after_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_at_once(stop: Any) -> Any:
        from contextlib import nullcontext

        stop()
        return nullcontext()

    monkeypatch.setattr("kafka_integration.management.long_work.stopping_on_signals", stop_at_once)
    for offset in range(3):
        dead(message(offset=offset))
    code, text = fails("redrive", "--all", "--yes", "--batch-size", "2")
    assert (code, statuses()) == (130, [PARKED, PARKED, DEAD])
    assert "Run it again" in text
