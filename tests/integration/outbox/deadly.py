"""``manage.py``, but for a Kafka client that kills the process with some events.

Stands for a fault in the client library, or for what the system does when memory runs out: the
process ends by SIGKILL in the midst of the hand-over.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from django.core.management import execute_from_command_line

from kafka_integration.broker.producer import EventProducer
from kafka_integration.broker.transactional import TransactionalProducer

DEADLY = "deadly"
"""A key whose events kill."""


def main() -> None:
    """Run a command of ``manage.py``."""
    for kind in (EventProducer, TransactionalProducer):
        kind.send = _deadly(kind.send)  # type: ignore[method-assign]  # as a broken client would
    execute_from_command_line(["manage.py", *sys.argv[1:]])


def _deadly(send: Any) -> Any:
    def send_or_die(self: Any, topic: str, value: Any, key: Any, *others: Any) -> None:
        if key == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, topic, value, key, *others)

    return send_or_die


if __name__ == "__main__":
    main()
