"""Free ports on the loopback address."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Sequence

HOST = "127.0.0.1"
# Below the ports that the system hands to outgoing connections (32768 and up on
# Linux). Above, a client could be given a service's port while that service is
# stopped, or connect to itself when it tries the port again and again.
RANGE = range(20000, 32000)
# The system's own chance: a test run gives the same seed to each of its processes,
# which would all choose the same ports.
_CHANCE = random.SystemRandom()
_POLL = 0.05


def free_ports(count: int) -> list[int]:
    """Distinct ports nobody listens on. Random, so that two folders seldom meet."""
    found: list[int] = []
    for port in _CHANCE.sample(RANGE, k=len(RANGE)):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen there, with the option that servers set."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def become_free(ports: Sequence[int], seconds: float) -> bool:
    """Whether servers can listen on all of these ports within ``seconds``.

    Another process that looks for a free port holds it for a moment.
    """
    deadline = time.monotonic() + seconds
    while not all(is_free(port) for port in ports):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
