"""Which of librdkafka's log lines a person sees."""

from __future__ import annotations

import logging

import pytest

from kafka_integration.broker.client_log import demoting

FAIL = ("%s [%s] %s", "FAIL", "rdkafka#consumer-1", "[thrd:k:1]: Connect to k:1 failed")
LOADING = ("%s [%s] %s", "GETPID", "rdkafka#producer-1", "Coordinator load in progress: retrying")
OTHER = ("%s [%s] %s", "MAXPOLL", "rdkafka#consumer-1", "Application maximum poll interval")


@pytest.mark.parametrize("line", [FAIL, LOADING])
def test_what_is_repeated_while_it_waits_is_for_debugging(
    line: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    log = demoting("tests.client_log")
    caplog.set_level(logging.INFO, "tests.client_log")
    log.log(logging.ERROR, *line)
    assert not caplog.records
    caplog.set_level(logging.DEBUG, "tests.client_log")
    log.log(logging.ERROR, *line)
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


def test_all_else_keeps_its_level(caplog: pytest.LogCaptureFixture) -> None:
    log = demoting("tests.client_log")
    log.log(logging.WARNING, *OTHER)
    log.log(logging.ERROR, "%s [%s] %s", "GETPID", "rdkafka#producer-1", "no permission")
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
