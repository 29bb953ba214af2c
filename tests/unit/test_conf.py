"""Settings: where they are looked up, and what a wrong one says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.test import override_settings
from pytest_django import Settings as DjangoSettings

from kafka_integration import conf
from kafka_integration.conf import Settings, settings
from kafka_integration.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, settings: DjangoSettings) -> None:
    for setting in Settings.all():
        monkeypatch.delenv(setting.name, raising=False)
        if hasattr(settings, setting.name):
            delattr(settings, setting.name)


def test_names_are_unique_and_explained() -> None:
    names = [setting.name for setting in Settings.all()]
    assert len(names) == len(set(names))
    assert all(name.startswith("KAFKA_") for name in names)
    assert all(setting.help.endswith(".") for setting in Settings.all())


def test_every_setting_has_a_default() -> None:
    for setting in Settings.all():
        assert setting.value() is not None


def test_django_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SOURCE", "environment")
    assert settings.source == "environment"
    with override_settings(KAFKA_SOURCE="django"):
        assert settings.source == "django"
    assert settings.source == "environment"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_RELAY_BATCH_SIZE", "")
    assert settings.relay_batch_size == 500


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("KAFKA_ENABLED", "false", "enabled", False),
        ("KAFKA_RELAY_BATCH_SIZE", "20", "relay_batch_size", 20),
        ("KAFKA_RELAY_LEASE_SECONDS", "2.5", "relay_lease_seconds", 2.5),
        ("KAFKA_BROKER", "a:1,b:2", "broker", "a:1,b:2"),
        ("KAFKA_CLIENT_OPTIONS", "a.b=1,c=2", "client_options", {"a.b": "1", "c": "2"}),
        ("KAFKA_CLIENT_OPTIONS", " a = b=c ,", "client_options", {"a": "b=c"}),
    ],
)  # fmt: skip
def test_text_becomes_a_value(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, attribute: str, value: object
) -> None:
    monkeypatch.setenv(name, text)
    assert getattr(settings, attribute) == value


def test_what_cannot_be_read_is_an_error_with_the_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_RELAY_BATCH_SIZE", "many")
    with pytest.raises(ConfigurationError, match=r"KAFKA_RELAY_BATCH_SIZE.*as int.*at once"):
        assert settings.relay_batch_size


@pytest.mark.parametrize(("inside", "broker"), [(True, "kafka:9092"), (False, "localhost:29092")])
def test_the_default_broker_depends_on_where_we_run(
    monkeypatch: pytest.MonkeyPatch, inside: bool, broker: str
) -> None:
    monkeypatch.setattr(conf, "in_container", lambda: inside)
    assert settings.broker == broker


def test_a_container_is_known_by_its_marks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(conf, "_CONTAINER_MARKS", (str(tmp_path / "mark"),))
    assert not conf.in_container()
    (tmp_path / "mark").touch()
    assert conf.in_container()
    (tmp_path / "mark").unlink()
    monkeypatch.setitem(os.environ, "KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert conf.in_container()


@pytest.mark.parametrize("text", ["treu", "maybe", "2"])
def test_a_switch_that_is_misspelt_is_no_false(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KAFKA_ENABLED", text)
    with pytest.raises(ConfigurationError, match=rf"KAFKA_ENABLED .*'{text}' is neither of true"):
        _ = settings.enabled


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("ON", True), ("off", False)])
def test_a_switch_is_read_whatever_its_case(
    monkeypatch: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    monkeypatch.setenv("KAFKA_ENABLED", text)
    assert settings.enabled is value


def test_a_number_with_a_unit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_RELAY_LEASE_SECONDS", "2m")
    with pytest.raises(ConfigurationError, match=r"cannot be read as float: .*'2m'"):
        _ = settings.relay_lease_seconds
    monkeypatch.setenv("KAFKA_RELAY_LEASE_SECONDS", "1e1")
    assert settings.relay_lease_seconds == 10


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("KAFKA_RELAY_BATCH_SIZE", 0, "1"),
        ("KAFKA_RELAY_LEASE_SECONDS", -5.0, "0.1"),
        ("KAFKA_RELAY_LEASE_SECONDS", float("nan"), "0.1"),
        ("KAFKA_CONSUME_WORKERS", -1, "0"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, name: str, value: float, least: str
) -> None:
    [setting] = [setting for setting in Settings.all() if setting.name == name]
    monkeypatch.setenv(name, str(value))
    with pytest.raises(ConfigurationError, match=f"{name} is {value}, .* at least {least}. It"):
        setting.value()
    monkeypatch.delenv(name)
    with override_settings(**{name: value}), pytest.raises(ConfigurationError, match="at least"):
        setting.value()


def test_a_switch_is_no_number() -> None:
    wrong = override_settings(KAFKA_RELAY_BATCH_SIZE=True)
    with wrong, pytest.raises(ConfigurationError, match="is of type bool, and int is needed"):
        _ = settings.relay_batch_size


def test_every_default_is_in_its_range() -> None:
    for setting in Settings.all():
        with override_settings(**{setting.name: setting.value()}):
            assert setting.value() is not None
