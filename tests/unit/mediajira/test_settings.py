from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

import mediajira

NAMES = (
    "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "CELERY_BROKER_URL", "KAFKA_SOURCE",
    "KAFKA_CLIENT_ID", "KAFKA_DEFAULT_GROUP", "KAFKA_TOPICS_FILE", "LOG_LEVEL", "LOG_FORMAT",
)  # fmt: skip
BASE = Path(mediajira.__file__).parent.parent


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # set first, so that what a read .env puts there is taken away again afterwards
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("MEDIAJIRA_ENV_FILE", "")


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(BASE / "mediajira" / "settings.py"))


def test_without_debug_a_secret_key_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"copy \.env\.example to \.env"):
        load(monkeypatch)


def test_debug_has_a_key_that_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "insecure" in load(monkeypatch, DEBUG="on")["SECRET_KEY"]


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(monkeypatch, SECRET_KEY="key")
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == []
    assert found["CELERY_BROKER_URL"] == "redis://localhost:6379/0"
    assert found["KAFKA_SOURCE"] == "mediajira"
    assert found["KAFKA_DEFAULT_GROUP"] == "mediajira"
    assert Path(found["KAFKA_TOPICS_FILE"]) == BASE / "devops" / "kafka" / "topics.yaml"
    assert Path(found["DATABASES"]["default"]["NAME"]) == BASE / "mediajira.sqlite3"


def test_the_environment_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(
        monkeypatch,
        SECRET_KEY="key",
        ALLOWED_HOSTS="a.example,b.example",
        KAFKA_SOURCE="elsewhere",
        KAFKA_DEFAULT_GROUP="others",
        KAFKA_TOPICS_FILE="/etc/topics.yaml",
    )
    assert found["ALLOWED_HOSTS"] == ["a.example", "b.example"]
    assert found["KAFKA_SOURCE"] == "elsewhere"
    assert found["KAFKA_DEFAULT_GROUP"] == "others"
    assert found["KAFKA_TOPICS_FILE"] == "/etc/topics.yaml"


def test_sqlite_is_set_up_for_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "sqlite:////data/other.sqlite3"
    database = load(monkeypatch, SECRET_KEY="key", DATABASE_URL=url)["DATABASES"]["default"]
    assert database["NAME"] == "/data/other.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert database["OPTIONS"]["timeout"] >= 5


def test_postgresql_keeps_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgres://user:word@db.example:5433/name"
    database = load(monkeypatch, SECRET_KEY="key", DATABASE_URL=url)["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"]) == ("db.example", 5433)
    assert database["CONN_MAX_AGE"] == 60
    assert database["CONN_HEALTH_CHECKS"] is True


def test_a_file_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "env"
    file.write_text("SECRET_KEY=from-file\nKAFKA_SOURCE=from-file\n")
    found = load(monkeypatch, MEDIAJIRA_ENV_FILE=str(file), KAFKA_SOURCE="from-environment")
    assert found["SECRET_KEY"] == "from-file"
    assert found["KAFKA_SOURCE"] == "from-environment"


def test_a_line_of_djangos_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import django, logging; django.setup(); "
        "logging.getLogger('django.request').warning('Not Found')"
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mediajira.settings",
        "DEBUG": "on",
        "MEDIAJIRA_ENV_FILE": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("Not Found") == 1, done.stderr


def test_the_example_makes_a_working_development_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(monkeypatch, MEDIAJIRA_ENV_FILE=str(BASE / ".env.example"))
    assert found["DEBUG"] is True


def test_the_example_names_every_variable() -> None:
    from kafka_integration.conf import Settings

    text = (BASE / ".env.example").read_text()
    seeds = ("KAFKA_NODE_ID", "CLUSTER_ID")
    names = [*NAMES, *seeds, *(setting.name for setting in Settings.all())]
    assert [name for name in names if f"{name}=" not in text] == []


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("on", True), ("false", False)])
def test_switches_in_the_databases_address_are_true_or_false(
    monkeypatch: pytest.MonkeyPatch, said: str, meant: bool
) -> None:
    query = f"DISABLE_SERVER_SIDE_CURSORS={said}&CONN_HEALTH_CHECKS={said}"
    url = f"postgres://me:secret@localhost:6432/db?{query}"
    found = load(monkeypatch, DEBUG="on", DATABASE_URL=url)["DATABASES"]["default"]
    assert found["DISABLE_SERVER_SIDE_CURSORS"] is meant
    assert found["CONN_HEALTH_CHECKS"] is meant
    assert found["PORT"] == 6432


def test_logs_are_json_where_the_setting_says_so() -> None:
    code = "import django, logging; django.setup(); logging.getLogger('x').warning('a\\nb')"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mediajira.settings", "DEBUG": "on", "LOG_FORMAT": "json",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BASE, env=environment, capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    [line] = done.stderr.splitlines()
    found = json.loads(line)
    assert (found["logger"], found["message"]) == ("x", "a\nb")


def test_an_unknown_log_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT is 'xml'"):
        load(monkeypatch, DEBUG="on", LOG_FORMAT="xml")
