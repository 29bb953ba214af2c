"""librdkafka's own log lines: which of them a person need not see."""

from __future__ import annotations

import logging


def demoting(name: str) -> logging.Logger:
    """Return the logger of that name; what librdkafka repeats while it waits is DEBUG there.

    For a broker that is away librdkafka logs an error at each try to connect, many a second, and
    a warning while a new cluster makes its internal topics. It tells the first of our callbacks
    too, where it becomes one line with its cure; the second passes by itself.
    """
    found = logging.getLogger(name)
    found.addFilter(_demote)
    return found


def _demote(record: logging.LogRecord) -> bool:
    if not _repeats(record.getMessage()):
        return True
    record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


def _repeats(line: str) -> bool:
    # Lines begin with librdkafka's name for the kind of event.
    return line.startswith("FAIL ") or (line.startswith("GETPID ") and line.endswith("retrying"))
