"""The port on which a relay or a consumer shows its metrics and answers probes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..database import close_connections
from ..errors import ConfigurationError
from .health import Health
from .heartbeat import Verdict

log = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"

Answer = tuple[HTTPStatus, str, bytes]


class Probes:
    """Answers ``/metrics``, ``/livez`` and ``/readyz``.

    Args:
        registries: what ``/metrics`` shows, one after the other.
        health: whom the probes ask.
    """

    def __init__(self, registries: tuple[CollectorRegistry, ...], health: Health) -> None:
        self._registries = registries
        self._pages: dict[str, Callable[[], Answer]] = {
            "/metrics": self._metrics,
            "/livez": lambda: _probe(health.live()),
            "/readyz": lambda: _probe(health.ready()),
        }

    def answer(self, path: str) -> Answer:
        """Return status, content type and body for a path."""
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            known = ", ".join(self._pages)
            return HTTPStatus.NOT_FOUND, _TEXT, f"There is only {known}.\n".encode()
        return page()

    def _metrics(self) -> Answer:
        try:
            body = b"".join(map(generate_latest, self._registries))
        finally:
            close_connections()  # this thread ends, and its connection would linger
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, body


class _Handler(BaseHTTPRequestHandler):
    probes: Probes
    timeout = 30

    def do_GET(self) -> None:
        status, kind, body = self.probes.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


@contextmanager
def listening(probes: Probes, address: str, port: int) -> Iterator[str]:
    """Answer probes on a port inside the block.

    Yields:
        The URL where.

    Raises:
        ConfigurationError: the port cannot be had.
    """
    handler = type("Handler", (_Handler,), {"probes": probes})
    try:
        server = ThreadingHTTPServer((address, port), handler)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"Metrics cannot be shown on {address}:{port}: {error}. Each relay and consumer of a "
            "machine needs a port of its own: give it one with --metrics-port or "
            "KAFKA_METRICS_PORT, and check KAFKA_METRICS_ADDRESS."
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="kafka-metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def show_health(registry: CollectorRegistry, role: str, health: Health) -> None:
    """Let metrics tell what the probes answer, so that alerts can go by it."""
    for name, ask in (("live", health.live), ("ready", health.ready)):
        text = f"What /{name}z answers: 1 for yes."
        gauge = Gauge(f"kafka_process_{name}", text, ["role"], registry=registry)
        gauge.labels(role).set_function(_number(ask))


def _number(ask: Callable[[], Verdict]) -> Callable[[], float]:
    return lambda: float(ask().good)


def _probe(verdict: Verdict) -> Answer:
    status = HTTPStatus.OK if verdict.good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _TEXT, f"{verdict.reason}\n".encode()
