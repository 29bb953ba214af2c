"""What goes wrong with consumers, and how many there are."""

from __future__ import annotations

from .. import plan
from ..plan import Plan
from ..tracks import Kind, Service, Track

SESSION_SECONDS = 6.0
"""After so long in silence a member is out of its group; Kafka's shortest."""

CONSUMERS = 3


class Process(Kind):
    """What goes wrong with consumers."""

    CONSUMER_KILLED = "consumer-killed"
    CONSUMER_FROZEN = "consumer-frozen"
    CONSUMER_STOPPED = "consumer-stopped"


SERVICES = tuple(Service)
PROCESSES = tuple(Process)

_OF_SERVICES = Track(SERVICES, 3, shortest=3.0)
_OF_PROCESSES = Track(PROCESSES, 2, shortest=SESSION_SECONDS)


def draw(seed: int, events: int, faults: int) -> Plan:
    """Return the storm of this seed; see :func:`tests.storm.plan.draw`."""
    return plan.draw(seed, events, faults, _OF_SERVICES, _OF_PROCESSES)
