"""Topics as AsyncAPI channels, and what the project does with them as operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..conf import settings
from ..events.catalogue import Catalogue
from ..events.contract import EventData
from ..events.registry import Handler, Publication
from ..events.topics import Topic, dead_letter_topic
from .messages import BINDING_VERSION, Messages, Use, summary

# What the binding's schema knows of a topic's settings, by the type that it wants.
_NUMBERS = ("retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes")


def channels(
    uses: Sequence[Use], messages: Messages, catalogue: Catalogue | None
) -> dict[str, Any]:
    """Return a Channel Object for each topic in use, and for the dead letters of what is read.

    Args:
        uses: every use of a contract.
        messages: the names of their messages.
        catalogue: tells partitions, retention and what the topic is for, if there is one.
    """
    found: dict[str, Any] = {}
    for topic in sorted({use.topic for use in uses}):
        here = dict.fromkeys(use.contract for use in uses if use.topic == topic)
        names = [messages.name(contract, topic) for contract in here]
        found[topic] = _channel(topic, names, catalogue)
        if any(use.topic == topic and not use.is_published for use in uses):
            letters = dead_letter_topic(topic)
            found[letters] = _channel(letters, names, catalogue)
    return found


def sending(publications: Iterable[Publication], messages: Messages) -> dict[str, Any]:
    """Return a Send operation for each contract and topic that is published."""
    models: dict[tuple[str, type[EventData]], list[str]] = {}
    for found in publications:
        line = f"{found.model._meta.label}: {found.when}"
        models.setdefault((found.topic, found.contract), []).append(line)
    return {
        f"send.{topic}.{messages.name(contract, topic)}": {
            "action": "send",
            "channel": _ref("channels", topic),
            "summary": summary(contract),
            "description": f"Published by {'; '.join(dict.fromkeys(lines))}.",
            "messages": [_ref("channels", topic, "messages", messages.name(contract, topic))],
        }
        for (topic, contract), lines in models.items()
    }


def receiving(handlers: Iterable[Handler], messages: Messages) -> dict[str, Any]:
    """Return a Receive operation for each consumer group and topic that is handled."""
    together: dict[tuple[str, str], list[Handler]] = {}
    for handler in handlers:
        together.setdefault((handler.group, handler.topic), []).append(handler)
    return {
        f"receive.{group}.{topic}": _receive(group, topic, found, messages)
        for (group, topic), found in together.items()
    }


def _receive(
    group: str, topic: str, handlers: Sequence[Handler], messages: Messages
) -> dict[str, Any]:
    contracts = [contract for handler in handlers for contract in handler.contracts().values()]
    names = dict.fromkeys(messages.name(contract, topic) for contract in contracts)
    return {
        "action": "receive",
        "channel": _ref("channels", topic),
        "summary": " ".join(dict.fromkeys(summary(handler.function) for handler in handlers)),
        "description": (
            f"Handled by {', '.join(handler.name for handler in handlers)}. What cannot be handled "
            f"goes to {dead_letter_topic(topic)}."
        ),
        "messages": [_ref("channels", topic, "messages", name) for name in names],
        "bindings": {
            "kafka": {
                "groupId": {"type": "string", "const": settings.group_prefix + group},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _channel(
    topic: str,
    names: Iterable[str],
    catalogue: Catalogue | None,
) -> dict[str, Any]:
    known = catalogue.get(topic) if catalogue is not None else None
    return {
        "address": topic,
        **({"description": known.description} if known else {}),
        "messages": {name: _ref("components", "messages", name) for name in names},
        "bindings": {"kafka": _binding(known)},
    }


def _binding(known: Topic | None) -> dict[str, Any]:
    if known is None:
        return {"bindingVersion": BINDING_VERSION}
    return {
        "partitions": known.partitions,
        "replicas": known.replication_factor,
        "topicConfiguration": _configuration(known.config),
        "bindingVersion": BINDING_VERSION,
    }


def _configuration(config: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {name: int(config[name]) for name in _NUMBERS if name in config}
    if "cleanup.policy" in config:
        found["cleanup.policy"] = [part.strip() for part in config["cleanup.policy"].split(",")]
    return found


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}
