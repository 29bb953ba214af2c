"""How many handlers run at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from pytest_django import Settings

from kafka_integration.errors import ConfigurationError
from kafka_integration.events.registry import Registry, registry
from kafka_integration.inbox.worker import Worker

from .messages import GROUP, Broken, handler, ignore


@pytest.fixture
def declared() -> Iterator[Registry]:
    with registry.isolated() as empty:
        empty.add_handler(handler(ignore))
        yield empty


@pytest.fixture
def postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")


def test_four_unless_told_otherwise(
    declared: Registry, postgresql: None, settings: Settings
) -> None:
    assert Worker(GROUP).workers == 4
    settings.KAFKA_CONSUME_WORKERS = 7
    assert Worker(GROUP).workers == 7
    assert Worker(GROUP, workers=2).workers == 2


def test_one_where_a_handler_writes_to_sqlite(
    declared: Registry, postgresql: None, settings: Settings
) -> None:
    declared.add_handler(handler(ignore, Broken, using="other"))
    assert Worker(GROUP).workers == 1
    settings.KAFKA_CONSUME_WORKERS = 3
    assert Worker(GROUP).workers == 3


@pytest.mark.parametrize("asked", [0, -1])
def test_none_is_an_error_that_names_the_cure(declared: Registry, asked: int) -> None:
    with pytest.raises(ConfigurationError, match="a number from 1"):
        Worker(GROUP, workers=asked)
