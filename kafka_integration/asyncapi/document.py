"""The AsyncAPI 3 document: what this project publishes and handles, for people and for tools.

Source: the AsyncAPI specification 3.0.0 and its Kafka bindings 0.5.0. Payloads are JSON schemas as
pydantic makes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from ..conf import settings
from ..events.catalogue import catalogue
from ..events.envelope import JSON
from ..events.registry import Registry, registry
from .channels import channels, receiving, sending
from .messages import Messages, Use
from .servers import security_schemes, servers


def document(declared: Registry = registry) -> dict[str, Any]:
    """Return the document of all declarations; events of ``publish()`` declare nothing.

    Args:
        declared: the declarations.

    Raises:
        CatalogueError: ``KAFKA_TOPICS_FILE`` names a file that is not there or not valid.
        Undescribable: a contract has a field that no JSON schema can describe.
    """
    uses = _uses(declared)
    messages = Messages(uses)
    components = {
        "messages": messages.components,
        "schemas": messages.schemas,
        "securitySchemes": security_schemes(),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": settings.source,
            "version": settings.asyncapi_version,
            "description": (
                f"The Kafka topics that {settings.source} publishes and handles. Headers follow "
                "CloudEvents 1.0, binary mode; a message of which no header is required may also "
                "come in structured mode, or bare."
            ),
        },
        "defaultContentType": JSON,
        "servers": servers(),
        "channels": channels(uses, messages, catalogue()),
        "operations": {
            **sending(declared.publications, messages),
            **receiving(declared.handlers, messages),
        },
        "components": {name: found for name, found in components.items() if found},
    }


def as_json(found: Mapping[str, Any]) -> str:
    """Return a document as JSON for people, with a line's end at its end."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def as_yaml(found: Mapping[str, Any]) -> str:
    """Return a document as YAML, in the document's own order and without anchors."""
    plain = json.loads(json.dumps(found))  # no object twice, which YAML would point at
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return text


WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"json": as_json, "yaml": as_yaml}
"""How a document becomes text, by the name of the format."""


def _uses(declared: Registry) -> list[Use]:
    published = [Use(found.contract, found.topic, True) for found in declared.publications]
    handled = [
        Use(contract, found.topic, False)
        for found in declared.handlers
        for contract in found.contracts().values()
    ]
    return [*published, *handled]
