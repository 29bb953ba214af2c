"""The AsyncAPI document, arranged as a page shows it: by topic, with who sends and who handles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fields import Field, fields_of

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class MessageView:
    """One message of a topic: its CloudEvents type and version, and its fields."""

    title: str
    type: str
    version: str
    summary: str
    content_type: str
    fields: list[Field]


@dataclass(frozen=True)
class OperationView:
    """What this project does with a topic: the verb, for which group, and the words for it."""

    verb: str
    group: str
    summary: str
    description: str


@dataclass(frozen=True)
class ChannelView:
    """One topic; ``facts`` are what the catalogue says of it, in words."""

    topic: str
    description: str
    facts: list[str]
    operations: list[OperationView]
    messages: list[MessageView]


def channel_views(document: Mapping[str, Any]) -> list[ChannelView]:
    """Return the document's topics in its own order; dead-letter topics, read by people, last."""
    views = [_channel(topic, document) for topic in document["channels"]]
    return sorted(views, key=lambda view: not view.operations)


def _channel(topic: str, document: Mapping[str, Any]) -> ChannelView:
    channel = document["channels"][topic]
    reference = f"#/channels/{topic}"
    operations = [
        _operation(found)
        for found in document["operations"].values()
        if found["channel"]["$ref"] == reference
    ]
    # A dead letter is a message of the topic it comes from, which the page shows already.
    shown = channel["messages"] if operations else {}
    return ChannelView(
        topic,
        channel.get("description", ""),
        _facts(channel["bindings"]["kafka"]),
        operations,
        [_message(name, document) for name in shown],
    )


def _operation(found: Mapping[str, Any]) -> OperationView:
    binding = found.get("bindings", {}).get("kafka", {})
    verb = "sends" if found["action"] == "send" else "handles"
    group = binding.get("groupId", {}).get("const", "")
    return OperationView(verb, group, found["summary"], found["description"])


def _message(name: str, document: Mapping[str, Any]) -> MessageView:
    found = document["components"]["messages"][name]
    schemas = document["components"].get("schemas", {})
    headers = found["headers"]["properties"]
    return MessageView(
        title=found["title"],
        type=found["name"],
        version=headers["ce_dataversion"]["const"],
        summary=found["summary"],
        content_type=found["contentType"],
        fields=fields_of(found["payload"], schemas),
    )


def _facts(binding: Mapping[str, Any]) -> list[str]:
    facts = []
    if "partitions" in binding:
        facts.append(_count(binding["partitions"], "partition"))
        facts.append(_count(binding["replicas"], "replica"))
    kept = binding.get("topicConfiguration", {}).get("retention.ms")
    if kept is not None:
        facts.append("kept for ever" if kept < 0 else f"kept {_count(kept / _DAY_MS, 'day')}")
    return facts


def _count(number: float, noun: str) -> str:
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"
