"""Free ports on the loopback address."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
# Below the ports that the system hands to outgoing connections (32768 and up on
# Linux). Above, a client could be given a service's port while that service is
# stopped, or connect to itself when it tries the port again and again.
RANGE = range(20000, 32000)


def free_ports(count: int) -> list[int]:
    """Distinct ports nobody listens on. Random, so that two folders seldom meet."""
    found: list[int] = []
    for port in random.sample(RANGE, k=len(RANGE)):
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
