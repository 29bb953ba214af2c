"""One request of Kafka's protocol, to tell whether a broker serves.

A port that accepts connections proves little: the broker opens it before it has
joined its cluster. The answer to Metadata names the cluster and its live brokers.
"""

from __future__ import annotations

import socket
import struct

METADATA, VERSION, CORRELATION = 3, 2, 7
TIMEOUT = 2.0


def cluster_id(host: str, port: int) -> str | None:
    """The id of the cluster that serves there; none while it is not ready."""
    try:
        return _parse(_ask(host, port))
    except (OSError, EOFError, struct.error):
        return None


def _ask(host: str, port: int) -> bytes:
    """Send Metadata for no topic (version 2, served by Kafka 3 and 4 alike)."""
    body = struct.pack(">hhihi", METADATA, VERSION, CORRELATION, -1, 0)
    with socket.create_connection((host, port), TIMEOUT) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        (length,) = struct.unpack(">i", _read(connection, 4))
        return _read(connection, length)


def _read(connection: socket.socket, length: int) -> bytes:
    """Read exactly that many bytes."""
    data = b""
    while len(data) < length:
        chunk = connection.recv(length - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def _parse(answer: bytes) -> str | None:
    """The cluster's id, if at least one broker and a controller are known."""
    _, brokers = struct.unpack_from(">ii", answer)
    offset = 8
    for _ in range(brokers):
        offset += 4
        _, offset = _text(answer, offset)
        offset += 4
        _, offset = _text(answer, offset)
    cluster, offset = _text(answer, offset)
    (controller,) = struct.unpack_from(">i", answer, offset)
    return cluster if brokers and controller >= 0 else None


def _text(answer: bytes, offset: int) -> tuple[str | None, int]:
    """A nullable string and where it ends."""
    (length,) = struct.unpack_from(">h", answer, offset)
    offset += 2
    if length < 0:
        return None, offset
    return answer[offset : offset + length].decode(), offset + length
