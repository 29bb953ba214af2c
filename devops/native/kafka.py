"""Apache Kafka: one KRaft node, broker and controller in one process."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from . import classpath, metadata, process
from .folder import HERE
from .ports import HOST
from .service import Service
from .state import Record

# The serial collector starts soonest and leaves the few cores to the tests.
JAVA = ("java", "-XX:+UseSerialGC")
HEAP = ("-Xms256m", "-Xmx512m")
LOGGING = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
# A static voter, not one formatted into the data, so that the port may change.
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=INTERNAL://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=INTERNAL://{host}:{port}
listener.security.protocol.map=INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
# Fifty by default, each of which costs time when the first group appears.
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=5
group.initial.rebalance.delay.ms=0
"""


class Kafka(Service):
    """A broker whose cluster id is ours alone."""

    name = "kafka"
    port_count = 2

    def make_token(self) -> str:
        """A cluster id: a UUID in base64, with no dash that reads as an option."""
        while True:
            token = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
            if not token.startswith("-"):
                return token

    def prepare(self, record: Record) -> None:
        """Format the log folder."""
        properties = self._write_properties(record)
        tool = ["kafka.tools.StorageTool", "format", "-t", record.token, "-c", properties]
        # Compiled once, lightly: this program lives for half a second.
        args = [*JAVA, "-XX:TieredStopAtLevel=1", "-cp", self._classpath(), *tool]
        process.finish(process.Command(args, Path(record.folder)), "formatting Kafka's folder")

    def command(self, record: Record) -> process.Command:
        """The broker; its settings are written again, as a port may have changed."""
        properties = self._write_properties(record)
        args = [*JAVA, *HEAP, LOGGING, "-cp", self._classpath(), "kafka.Kafka", properties]
        return process.Command(args, Path(record.folder), environment=_environment())

    def ready(self, record: Record) -> bool:
        """Whether the broker is registered in our cluster and takes requests."""
        return metadata.cluster_id(HOST, record.port) == record.token

    def environment(self, record: Record) -> dict[str, str]:
        """The bootstrap address, and the jars for Kafka's own tools."""
        return {
            "KAFKA_BROKER": f"{HOST}:{record.port}",
            "KAFKA_CLASSPATH_FILE": str(classpath.ensure(self.folder)),
        }

    def _classpath(self) -> str:
        return classpath.ensure(self.folder).read_text().strip()

    def _write_properties(self, record: Record) -> str:
        """Write the broker's settings and return their path."""
        port, controller_port = record.ports[:2]
        path = Path(record.folder) / "server.properties"
        data = path.parent / "data"
        path.write_text(
            PROPERTIES.format(host=HOST, port=port, controller_port=controller_port, data=data)
        )
        return str(path)


def _environment() -> dict[str, str]:
    """Ours without ``JAVA_TOOL_OPTIONS``: an agent in it would be loaded twice."""
    return {name: value for name, value in os.environ.items() if name != "JAVA_TOOL_OPTIONS"}
