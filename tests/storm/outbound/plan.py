"""What goes wrong with relays, and how many there are."""

from __future__ import annotations

from .. import plan
from ..plan import Plan
from ..tracks import Kind, Service, Track

LEASE_SECONDS = 3.0
RELAYS = 3
WRITERS = 4


class Process(Kind):
    """What goes wrong with relays, writers and leases."""

    RELAY_KILLED = "relay-killed"
    RELAY_FROZEN = "relay-frozen"
    RELAY_STOPPED = "relay-stopped"
    WRITER_KILLED = "writer-killed"
    LEASE_TAMPERED = "lease-tampered"


SERVICES = tuple(Service)
PROCESSES = tuple(Process)

_OF_SERVICES = Track(SERVICES, 3, LEASE_SECONDS)
_OF_PROCESSES = Track(PROCESSES, 2, LEASE_SECONDS)


def draw(seed: int, events: int, faults: int) -> Plan:
    """Return the storm of this seed; see :func:`tests.storm.plan.draw`."""
    return plan.draw(seed, events, faults, _OF_SERVICES, _OF_PROCESSES)
