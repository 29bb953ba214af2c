"""``make demo``: success only if everything arrived, and a clear failure otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EVENTS = 15


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    # The demonstration brings its own broker and database, so it must not see ours.
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KAFKA_", "DATABASE_URL", "DJANGO_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "mediajira.demo", *options],
        cwd=ROOT,
        env=clean | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_every_event_arrives_and_has_its_effect() -> None:
    result = demo()
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{EVENTS} of {EVENTS} events arrived in Kafka" in result.stdout
    assert "2 dead letters of 2 expected" in result.stdout
    for topic in ("campaign.created.json", "asset.deleted.json", "retrospective.completed.json"):
        assert topic in result.stdout
    assert "campaigns.record_created (mediajira)" in result.stdout
    assert "Campaign 'Spring launch' was created." in result.stdout


def test_without_its_relay_the_demo_fails_and_says_why() -> None:
    result = demo("--without-relay", "--patience", "4")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "never arrived on campaign.created.json" in result.stdout
    assert "is the relay running" in result.stdout


def test_with_a_handler_that_raises_the_demo_fails_and_names_it() -> None:
    result = demo("--broken-handler")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "group broken has no effect (dead)" in result.stdout
    assert "unexpected dead letter: campaign.updated.json.dlq" in result.stdout
