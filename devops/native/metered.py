"""A broker of its own that shows its metrics, as the one of the compose file does."""

from __future__ import annotations

import dataclasses

from . import classpath, jmx, process
from .kafka import Kafka
from .ports import HOST
from .state import Record


class MeteredKafka(Kafka):
    """Apache Kafka with the JMX agent and the project's rules for it."""

    name = "metered-kafka"
    port_count = 3

    def command(self, record: Record) -> process.Command:
        """The broker, with the agent on the third port."""
        plain = super().command(record)
        agent = f"-javaagent:{jmx.ensure(self.folder)}={HOST}:{record.ports[2]}:{jmx.RULES}"
        program, *rest = plain.args
        return dataclasses.replace(plain, args=[program, agent, *rest])

    def environment(self, record: Record) -> dict[str, str]:
        """The bootstrap address, and where the metrics are."""
        return {
            "METERED_KAFKA_BROKER": f"{HOST}:{record.ports[0]}",
            "METERED_KAFKA_URL": f"http://{HOST}:{record.ports[2]}/metrics",
            "KAFKA_CLASSPATH_FILE": str(classpath.ensure(self.folder)),
        }
