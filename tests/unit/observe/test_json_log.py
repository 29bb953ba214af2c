"""A log record as JSON."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from kafka_integration.observe.json_log import JsonFormatter


def line(text: str, *args: object, **more: Any) -> dict[str, Any]:
    """Log, and return what a collector reads."""
    exc_info = more.pop("exc_info", None)
    record = logging.LogRecord("kafka.test", logging.WARNING, "f", 1, text, args, exc_info)
    vars(record).update(more)
    written = JsonFormatter().format(record)
    assert "\n" not in written
    found: dict[str, Any] = json.loads(written)
    return found


def test_a_record_is_one_object_on_one_line() -> None:
    found = line("%s\nwaits", "Kafka")
    assert found["message"] == "Kafka\nwaits"
    assert (found["level"], found["logger"]) == ("WARNING", "kafka.test")
    assert found["time"].endswith("Z")
    assert "exception" not in found


def test_the_time_is_utc_with_milliseconds() -> None:
    assert line("x", created=1_700_000_000.25)["time"] == "2023-11-14T22:13:20.250Z"


def test_an_exception_is_there_as_text() -> None:
    try:
        raise ValueError("no cup")
    except ValueError:
        found = line("failed", exc_info=sys.exc_info())
    assert found["exception"].endswith("ValueError: no cup")
    assert "Traceback" in found["exception"]


def test_extra_fields_stand_under_their_names_and_never_hide_ours() -> None:
    found = line("x", topic="thing.made.json", level="forged", what=object)
    assert found["topic"] == "thing.made.json"
    assert found["level"] == "WARNING"
    assert "object" in found["what"]
