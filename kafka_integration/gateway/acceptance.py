"""Which events the gateway takes: open topics, and the contracts that stand for them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import ConfigDict

from ..conf import settings
from ..errors import DeclarationError
from ..events.contract import EventData, require_contract
from ..events.registry import registry
from ..events.topics import check_event_topic
from .sender import Sender

Allow = Callable[[Sender, Any], bool]


@dataclass(frozen=True)
class Acceptance:
    """One declaration of ``accepts()``: such events may come in for this topic.

    Args:
        topic: where they go.
        contract: what their data must satisfy.
        allow: tells whether a sender may send this very event; None means that it may.
    """

    topic: str
    contract: type[EventData]
    allow: Allow | None = None

    @property
    def event_type(self) -> str:
        """The CloudEvents type of its events."""
        return self.contract.type_name()

    @property
    def version(self) -> int:
        """The version of its contract."""
        return self.contract.event_version

    @property
    def closed(self) -> type[EventData]:
        """The contract, with unknown fields refused where it would drop them without a word."""
        return _closed(self.contract)


@cache
def _closed(contract: type[EventData]) -> type[EventData]:
    if contract.model_config.get("extra") != "ignore":
        return contract
    namespace = {
        "__doc__": contract.__doc__,
        "__module__": contract.__module__,
        "__qualname__": contract.__qualname__,
        "event_type": contract.type_name(),
        "model_config": ConfigDict(extra="forbid"),
    }
    made: type[EventData] = types.new_class(
        contract.__name__, (contract,), exec_body=lambda body: body.update(namespace)
    )
    return made


@dataclass
class Acceptances:
    """What the project's ``events.py`` modules declare."""

    declared: list[Acceptance] = field(default_factory=list)

    def add(self, acceptance: Acceptance) -> None:
        """Record a declaration.

        Raises:
            TopicNameError: the topic's name is not ``domain.action.format``.
            NotAContract: the contract is no subclass of :class:`EventData`.
            DeclarationError: the topic already accepts another contract of that type and version.
        """
        check_event_topic(acceptance.topic)
        require_contract(acceptance.contract, f"accepts({acceptance.topic!r}, …)")
        for other in self.declared:
            if _identity(other) == _identity(acceptance):
                raise DeclarationError(
                    f"{acceptance.topic} already accepts {acceptance.event_type} version "
                    f"{acceptance.version}. Remove one of the two declarations, or give one of the "
                    "contracts another event_type or event_version."
                )
        self.declared.append(acceptance)

    def of(self, topic: str) -> list[Acceptance]:
        """Return what is accepted for a topic: what is declared for it, else what it publishes."""
        declared = [found for found in self.declared if found.topic == topic]
        return declared or _published(topic)

    @contextmanager
    def isolated(self) -> Iterator[Acceptances]:
        """Forget all declarations for the length of a ``with`` block, for tests."""
        saved, self.declared = self.declared, []
        try:
            yield self
        finally:
            self.declared = saved


acceptances = Acceptances()


def accepts(topic: str, contract: type[EventData], *, allow: Allow | None = None) -> None:
    """Declare that the gateway takes such events, once ``KAFKA_GATEWAY_TOPICS`` opens the topic.

    A topic without a declaration of its own accepts the contracts that models publish to it.

    Args:
        topic: the Kafka topic, ``domain.action.format``.
        contract: the event's data.
        allow: is given the :class:`~.sender.Sender` and the data, and tells whether that sender
            may send that event.

    Raises:
        DeclarationError: see :meth:`Acceptances.add`.
    """
    acceptances.add(Acceptance(topic, contract, allow))


def open_topics() -> tuple[str, ...]:
    """Return the topics that the settings open."""
    return tuple(dict.fromkeys(settings.gateway_topics))


def open_acceptances() -> list[Acceptance]:
    """Return what is accepted now, by topic and in the order of the declarations."""
    return [found for topic in open_topics() for found in acceptances.of(topic)]


def _published(topic: str) -> list[Acceptance]:
    found: dict[tuple[str, str, int], Acceptance] = {}
    for publication in registry.publications:
        if publication.topic == topic:
            acceptance = Acceptance(topic, publication.contract)
            found.setdefault(_identity(acceptance), acceptance)
    return list(found.values())


def _identity(acceptance: Acceptance) -> tuple[str, str, int]:
    return acceptance.topic, acceptance.event_type, acceptance.version
