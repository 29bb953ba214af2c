"""Django's system checks of the gateway.

- ``kafka.E020``: an open topic has no contract, or is not in the catalogue
- ``kafka.E021``: a token's entry is no SHA-256
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, register

from ..conf import settings
from ..errors import ConfigurationError, DeclarationError, KafkaIntegrationError
from ..events.catalogue import check_catalogued
from ..events.topics import check_event_topic
from .acceptance import acceptances, open_topics


@register("kafka")
def check_gateway(**kwargs: Any) -> list[CheckMessage]:
    """Find out before the first request what would be refused, or fail, for the settings' sake."""
    try:
        return [*_topics(), *_tokens()]
    except (ConfigurationError, KafkaIntegrationError):
        return []  # kafka.E010 and kafka.E003 tell it


def _topics() -> Iterator[CheckMessage]:
    for topic in open_topics():
        try:
            check_event_topic(topic)
            check_catalogued(topic)
        except DeclarationError as error:
            yield Error(str(error), hint="Correct KAFKA_GATEWAY_TOPICS.", id="kafka.E020")
            continue
        if not acceptances.of(topic):
            yield Error(
                f"KAFKA_GATEWAY_TOPICS opens {topic}, and no contract says what its events are.",
                hint=f"Declare accepts({topic!r}, YourContract) in an events.py.",
                id="kafka.E020",
            )


def _tokens() -> Iterator[CheckMessage]:
    for name, found in settings.gateway_tokens.items():
        if not re.fullmatch("[0-9a-fA-F]{64}", found):
            # Not shown: it may be the token itself.
            yield Error(
                f"KAFKA_GATEWAY_TOKENS: what stands for {name!r} is no SHA-256 in hex.",
                hint="'manage.py kafka_gateway token' makes a token and prints its entry.",
                id="kafka.E021",
            )
