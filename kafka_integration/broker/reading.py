"""librdkafka's consumer as we set it up, and its messages as ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import methodcaller
from typing import Any, cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException
from confluent_kafka import Message as KafkaMessage

from ..errors import ConfigurationError
from ..events.envelope import Headers, Message
from .config import client_config

UNREADABLE_HEADERS = "kafka_unreadable_headers"
"""The one header of a message whose own headers the client cannot hand out; its value says why."""

# confluent-kafka 2.16 returns a half-made list, with an exception pending, for a header whose name
# is not UTF-8. Python looks for that after a call through its C API, as methodcaller makes it, but
# not after a call that its interpreter has specialised.
_ask_headers = methodcaller("headers")

_DEFAULTS: dict[str, Any] = {
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    "enable_auto_offset_store": False,
    "allow_auto_create_topics": False,
    # The default of 64 MiB is counted for each partition.
    "queued_max_messages_kbytes": 16 * 1024,
    "socket_keepalive_enable": True,
    "reconnect_backoff_max_ms": 2_000,
}


_STRATEGY = "partition.assignment.strategy"
_EAGER = frozenset({"range", "roundrobin"})


def connect(
    callbacks: Mapping[str, Callable[..., None]],
    required: Mapping[str, Any] | None = None,
    **properties: Any,
) -> Consumer:
    """Return a consumer that commits nothing by itself and makes no topics.

    Args:
        callbacks: librdkafka's callbacks by name.
        required: properties that nothing may change, not even ``KAFKA_CLIENT_OPTIONS``.
        properties: librdkafka's properties, with ``_`` where the name has a dot.

    Raises:
        ConfigurationError: librdkafka does not take a property, or the assignment would be eager.
    """
    config = _cooperative(client_config(**_DEFAULTS | properties))
    try:
        return Consumer(config | dict(required or {}) | dict(callbacks))
    except KafkaException as error:
        raise ConfigurationError(
            f"Kafka's client refuses its configuration: {error.args[0].str()}. Check "
            "KAFKA_CLIENT_OPTIONS and the other KAFKA_ settings."
        ) from error


def message_of(found: KafkaMessage) -> Message:
    """Return a received record as our message; ``found`` must not be an error."""
    kind, milliseconds = found.timestamp()
    # Typed for errors, which lack a place, and for deserialising consumers; this is neither.
    raw = cast(Any, found)
    return Message(
        topic=raw.topic(),
        partition=raw.partition(),
        offset=raw.offset(),
        key=raw.key(),
        value=raw.value(),
        headers=_headers(raw),
        timestamp=None if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds,
    )


def _cooperative(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``config`` so that a rebalance takes from a member only what it must give away.

    With ``group.protocol=consumer`` (KIP-848) the broker assigns, always so, and the client takes
    no strategy.
    """
    if str(config.get("group.protocol", "classic")).lower() == "consumer":
        return dict(config)
    found = {_STRATEGY: "cooperative-sticky"} | dict(config)
    eager = _EAGER.intersection(name.strip() for name in str(found[_STRATEGY]).split(","))
    if eager:
        raise ConfigurationError(
            f"{_STRATEGY} is {found[_STRATEGY]!r}, and with {', '.join(sorted(eager))} each "
            "rebalance takes all partitions from all members. Remove it from KAFKA_CLIENT_OPTIONS "
            "(cooperative-sticky is then used), or set group.protocol=consumer there."
        )
    return found


def _headers(raw: Any) -> Headers:
    try:
        return list(_ask_headers(raw) or [])
    except (SystemError, UnicodeDecodeError) as error:
        return [(UNREADABLE_HEADERS, str(error.__cause__ or error).encode())]
