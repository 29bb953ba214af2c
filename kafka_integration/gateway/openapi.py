"""The gateway's OpenAPI 3.1 document, made from the contracts and settings in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from ..conf import settings
from .acceptance import Acceptance, open_acceptances
from .parcel import HEADER_NAME, LONGEST_HEADER, LONGEST_KEY, MOST_HEADERS
from .problems import MEDIA_TYPE

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_WITHOUT_NUL = "^[^\\u0000]*$"
_RESERVED_NAME = "^([cC][eE]_|[cC][oO][nN][tT][eE][nN][tT]-[tT][yY][pP][eE])"

_PROBLEMS = {
    "400": "The request cannot be read.",
    "401": "Nobody is signed in.",
    "403": "The sender may not do this, or the topic is not open.",
    "413": "The body, or one of its events, is too large.",
    "415": "The body is not declared to be JSON.",
    "422": "An event breaks its contract, or the idempotency key belongs to another body.",
    "429": "The sender's allowance of this minute is used up.",
    "503": "Not now; nothing was written.",
}


def document(base: str) -> Schema:
    """Return the document.

    Args:
        base: path under which the gateway's addresses are.
    """
    found = open_acceptances()
    refs, contracts = _contracts(found)
    schemas = contracts | {
        "Event": {"anyOf": [_event(item, found, refs) for item in found] or [{"not": {}}]},
        "Problem": _PROBLEM,
        "Accepted": _ACCEPTED,
        "Session": _SESSION,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kafka gateway",
            "version": "1",
            "description": "Takes events for Kafka. What is accepted is in the database.",
        },
        "servers": [{"url": base}],
        "security": [{"token": []}, {"session": [], "csrf": []}],
        "paths": {"/events": {"post": _post()}, "/session": {"get": _get_session()}},
        "components": {"schemas": schemas, "securitySchemes": _security()},
    }


def _contracts(found: Sequence[Acceptance]) -> tuple[dict[Any, Schema], Schema]:
    # One contract may stand for several topics.
    models = dict.fromkeys(item.closed for item in found)
    refs, whole = models_json_schema([(m, "validation") for m in models], ref_template=_REF)
    return {model: refs[model, "validation"] for model in models}, dict(whole.get("$defs", {}))


def _event(item: Acceptance, all_of_them: Sequence[Acceptance], refs: dict[Any, Schema]) -> Schema:
    same_topic = [found for found in all_of_them if found.topic == item.topic]
    types = Counter(found.event_type for found in same_topic)
    newest = max(found.version for found in same_topic if found.event_type == item.event_type)
    required = ["topic", "key", "data"]
    required += ["type"] if len(types) > 1 else []
    required += ["version"] if item.version != newest else []
    return {
        "type": "object",
        "title": f"{item.event_type} for {item.topic}",
        "properties": {
            "topic": {"type": "string", "const": item.topic},
            "key": _KEY,
            "type": {"type": "string", "const": item.event_type},
            "version": {"type": "integer", "const": item.version},
            "data": refs[item.closed],
            "headers": _HEADERS,
        },
        "required": required,
        "additionalProperties": False,
    }


def _post() -> Schema:
    events = {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Event"},
        "minItems": 1,
        "maxItems": settings.gateway_max_events,
    }
    body = {
        "type": "object",
        "properties": {"events": events},
        "required": ["events"],
        "additionalProperties": False,
    }
    return {
        "operationId": "sendEvents",
        "summary": "Write events into the outbox: all of them or none",
        "parameters": [_IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"202": _answer("They are committed.", "Accepted"), **_refusals(_PROBLEMS)},
    }


def _get_session() -> Schema:
    return {
        "operationId": "getSession",
        "summary": "What the sender may send, and the CSRF token of its session",
        "security": [{"token": []}, {"session": []}],
        "responses": {
            "200": _answer("Who is asking.", "Session"),
            **_refusals(["401", "403", "503"]),
        },
    }


def _answer(description: str, schema: str) -> Schema:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _refusals(statuses: Sequence[str] | dict[str, str]) -> Schema:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {found: {"description": _PROBLEMS[found], "content": content} for found in statuses}


def _security() -> Schema:
    return {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "sessionid"},
        "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRFToken"},
    }


_KEY: Schema = {
    "type": "string",
    "description": "Events of one topic and key keep their order.",
    "minLength": 1,
    "maxLength": LONGEST_KEY,
    "pattern": _WITHOUT_NUL,
}
_HEADERS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": HEADER_NAME, "not": {"pattern": _RESERVED_NAME}},
    "additionalProperties": {
        "type": "string",
        "maxLength": LONGEST_HEADER,
        "pattern": _WITHOUT_NUL,
    },
    "maxProperties": MOST_HEADERS,
}
_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body give the same answer, and one set of events.",
    "schema": {"type": "string", "pattern": '^("[!#-~]{1,255}"|[!#-~]{1,255})$'},
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["pointer", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}
_ACCEPTED: Schema = {
    "type": "object",
    "properties": {
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "topic": {"type": "string"},
                },
                "required": ["id", "topic"],
            },
        }
    },
    "required": ["events"],
}
_SESSION: Schema = {
    "type": "object",
    "properties": {
        "sender": {"type": "string"},
        "csrf_token": {"type": "string"},
        "topics": {"type": "array", "items": {"type": "string"}},
        "max_events": {"type": "integer"},
        "max_bytes": {"type": "integer"},
    },
    "required": ["sender", "csrf_token", "topics", "max_events", "max_bytes"],
}
