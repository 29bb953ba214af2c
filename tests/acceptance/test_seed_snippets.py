"""The two snippets that users know from the setup guide, with only the import line changed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .commands import succeed
from .conftest import script_environment

PRODUCER = """
from kafka_integration import KafkaProducerClient

with KafkaProducerClient() as producer:
    producer.send_message(
        topic='campaign.created.json',
        value={'campaign_id': '123', 'name': 'Test Campaign'},
        key='123',
        headers={'source': 'api', 'version': '1.0'}
    )
"""

CONSUMER = """
from kafka_integration import KafkaConsumerClient

def handle_message(message):
    print(f"Received: {message['value']}")
    return True  # Success

consumer = KafkaConsumerClient(
    topics=['campaign.created.json'],
    group_id='campaign-processor',
    message_handler=handle_message
)

consumer.start()
"""

RECEIVED = "Received: {'campaign_id': '123', 'name': 'Test Campaign'}"
PATIENCE = 60.0


class Script:
    """Runs the snippets as scripts, with a consumer group that no other run has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = script_environment(KAFKA_GROUP_PREFIX=f"{uuid.uuid4().hex[:8]}-")

    def send(self, name: str = "Test Campaign") -> str:
        """Run the producer's snippet; return the line that the consumer's has to print."""
        path = self.folder / "producer.py"
        path.write_text(PRODUCER.replace("Test Campaign", name))
        succeed(sys.executable, path, cwd=self.folder, env=self.environment)
        return RECEIVED.replace("Test Campaign", name)

    def mark(self) -> str:
        """Send a message that no other is like, with the same key and so in the same partition."""
        return self.send(f"Marker {uuid.uuid4().hex}")

    @contextmanager
    def consumer(self) -> Iterator[Consumer]:
        """Run the consumer's snippet; it must end well when SIGTERM asks it to."""
        path = self.folder / "consumer.py"
        path.write_text(CONSUMER)
        process = subprocess.Popen(
            [sys.executable, path],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield Consumer(process)
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=30)
            assert process.returncode == 0, rest
        finally:
            watchdog.cancel()
            process.kill()
            process.communicate()


class Consumer:
    """The consumer's snippet while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read_until(self, wanted: str) -> list[str]:
        """Return what it printed up to and with the line ``wanted``."""
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line.rstrip("\n"))
            if lines[-1] == wanted:
                return lines
        raise AssertionError(f"never printed within {PATIENCE:g} s: {wanted}\n" + "\n".join(lines))


@pytest.mark.usefixtures("catalogue_topics")
def test_what_one_snippet_sends_the_other_receives_once(tmp_path: Path) -> None:
    script = Script(tmp_path)
    before = script.mark()
    with script.consumer() as consumer:
        consumer.read_until(before)  # past all that other tests have sent
        consumer.read_until(script.send())

    after = script.mark()
    with script.consumer() as consumer:
        # One key, one partition: what was not committed would come before this.
        assert RECEIVED not in consumer.read_until(after)
