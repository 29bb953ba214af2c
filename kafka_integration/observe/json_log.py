"""Log records as JSON, one object a line."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

# What every record has; whatever else is there was given as ``extra``.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: time (UTC, ISO 8601), level, logger, message, process.

    An exception is there as text, and what was logged as ``extra`` under its own names. Use it in
    ``LOGGING`` as ``{"()": "kafka_integration.observe.json_log.JsonFormatter"}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        said = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            "thread": record.threadName,
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            said["stack"] = record.stack_info
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        # What is no JSON is told as text; a log line must never be lost for its content.
        return json.dumps(extra | said, default=repr, ensure_ascii=False)
