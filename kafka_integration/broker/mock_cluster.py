"""librdkafka's mock cluster, where it differs from Kafka for those who ask about topics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..conf import settings
from ..errors import BrokerError
from .admin_client import BoundedAdminClient

_ID = "mockCluster"


def is_mock(cluster_id: str) -> bool:
    """Tell whether a cluster of that id is a mock cluster."""
    return cluster_id.startswith(_ID)


def make_topics(names: Iterable[str], timeout: float, **overrides: Any) -> None:
    """Make topics by asking about them, the only order that the mock cluster takes.

    Args:
        timeout: seconds that any one request may take.
        overrides: librdkafka properties, with ``_`` for a dot.

    Raises:
        BrokerUnavailable: the cluster does not answer in time.
    """
    client = BoundedAdminClient(timeout, **overrides | {"allow_auto_create_topics": True})
    for name in names:
        client.metadata(name)


def refusal() -> BrokerError:
    """Return the error for whoever wants topics administered."""
    return BrokerError(
        f"The Kafka at {settings.broker} is librdkafka's mock cluster: it makes topics on first "
        "use and takes no admin requests. Point KAFKA_BROKER at a real Kafka."
    )
