"""Lets a relay or a consumer be watched while it runs, if the settings say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Literal

from ..conf import settings
from ..errors import ConfigurationError

Role = Literal["relay", "consumer"]


@contextmanager
def watched(role: Role, port: int | None, using: str = "default") -> Iterator[str]:
    """Show metrics and health of this process on a port inside the block.

    Args:
        role: what runs in the block.
        port: where; None means ``KAFKA_METRICS_PORT``, and 0 nowhere.
        using: alias of the database whose outbox and inbox are shown.

    Yields:
        The URL where, or an empty text.

    Raises:
        ConfigurationError: the port cannot be had, or prometheus-client is not installed.
    """
    wanted = settings.metrics_port if port is None else port
    if not wanted:
        yield ""
        return
    require_client()
    with ExitStack() as stack:
        yield _watch(stack, role, wanted, using)


def require_client() -> None:
    """Raise unless prometheus-client is installed.

    Raises:
        ConfigurationError: it is not.
    """
    if find_spec("prometheus_client") is None:
        raise ConfigurationError(
            "Metrics need the package prometheus-client. Install it with "
            "pip install 'django-kafka-integration[metrics]', or set KAFKA_METRICS_PORT to 0."
        )


def _watch(stack: ExitStack, role: Role, port: int, using: str) -> str:
    # Here and not above: a project without the extra must be able to import this module.
    from .consumer_metrics import ConsumerMetrics
    from .health import ConsumerHealth, RelayHealth
    from .registry import process_registry, state_registry
    from .relay_metrics import RelayMetrics
    from .server import Probes, listening, show_health

    own = process_registry()
    stack.enter_context((RelayMetrics if role == "relay" else ConsumerMetrics)(own))
    health = stack.enter_context(RelayHealth() if role == "relay" else ConsumerHealth())
    show_health(own, role, health)
    probes = Probes((own, state_registry(using)), health)
    return stack.enter_context(listening(probes, settings.metrics_address, port))
