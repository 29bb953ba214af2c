"""A Kafka for demonstrations: librdkafka's mock cluster in a process of its own.

It needs neither Docker nor Java and speaks the real protocol over TCP: groups, idempotent
producers and rebalances work. It forgets everything when it ends, makes a topic with four
partitions when one is asked for, answers no topic administration, and keeps about 5 MB a
partition. A group's next consumer comes in only after about its session's time-out when the last
one has left: 45 seconds by default, five with ``KAFKA_CLIENT_OPTIONS=session.timeout.ms=6000``
(much less, as one second, and none comes in). It is no replacement for Kafka in tests of
guarantees.

In a terminal of its own, ``python -m kafka_integration.broker.embedded`` prints the address to
put into ``KAFKA_BROKER`` and runs until Ctrl-C.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from types import TracebackType

from confluent_kafka import Producer

from ..errors import BrokerUnavailable

_START_SECONDS = 15.0
_FOLLOW_STDIN = "--follow-stdin"


class EmbeddedBroker:
    """Runs the broker for the length of a ``with`` block; ``address`` is its bootstrap server."""

    def __init__(self) -> None:
        self.address = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it has told its address.

        Raises:
            BrokerUnavailable: it ended at once; its own error output says why.
        """
        command = [sys.executable, "-m", __name__, _FOLLOW_STDIN]
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None  # noqa: S101  # a pipe was asked for
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            self.stop()
            raise BrokerUnavailable("the embedded broker", "its process ended at once")

    def stop(self) -> None:
        """End the process; its topics are gone."""
        if self._process is None:
            return
        assert self._process.stdin is not None  # noqa: S101  # a pipe was asked for
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None


def serve(follow_stdin: bool) -> None:
    """Run the mock cluster and print its address; end on SIGTERM or Ctrl-C.

    Args:
        follow_stdin: end when standard input closes too. It is the parent's hand: when the parent
            is gone, however it went, so are we.
    """
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    brokers = cluster.list_topics(timeout=_START_SECONDS).brokers.values()
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)  # noqa: T201  # the answer to our parent
    if follow_stdin:
        sys.stdin.read()
    else:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    # Blocked before any thread starts, so that sigwait alone sees them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    serve(_FOLLOW_STDIN in sys.argv[1:])
