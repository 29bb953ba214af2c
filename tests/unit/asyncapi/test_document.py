"""The AsyncAPI document is valid and says what the declarations say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from pytest_django import Settings

from kafka_integration import EventData
from kafka_integration.asyncapi.document import as_json, as_yaml, document
from kafka_integration.asyncapi.messages import Undescribable
from kafka_integration.events.registry import Handler, Registry, registry
from kafka_integration.events.upcasts import Upcasts

from .contracts import Ordered, OrderedAnew, project, take

SCHEMA = Path(__file__).resolve().parents[2] / "asyncapi_schema" / "3.0.0.json"


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    """The official schema."""
    return Draft7Validator(json.loads(SCHEMA.read_text()))


def problems(validator: Draft7Validator, found: dict[str, Any]) -> list[str]:
    return [error.message[:300] for error in validator.iter_errors(json.loads(as_json(found)))]


def resolve(found: dict[str, Any], reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(found: Any) -> list[str]:
    if isinstance(found, list):
        return [ref for part in found for ref in references(part)]
    if not isinstance(found, dict):
        return []
    own = [found["$ref"]] if isinstance(found.get("$ref"), str) else []
    return own + [ref for part in found.values() for ref in references(part)]


@pytest.mark.parametrize(
    "declared", [project, Registry, lambda: registry], ids=["shapes", "empty", "mediajira"]
)
def test_it_is_valid(validator: Draft7Validator, declared: Callable[[], Registry]) -> None:
    assert problems(validator, document(declared())) == []


def test_the_validator_would_complain(validator: Draft7Validator) -> None:
    found = document(project())
    found["operations"]["send.sample.created.json.wrong"] = {"action": "shout"}
    assert problems(validator, found)


def test_every_reference_leads_somewhere() -> None:
    found = document(project())
    assert len(references(found)) > 20
    for reference in references(found):
        assert resolve(found, reference)


def test_a_publication_is_sent_with_the_headers_that_it_travels_with(
    settings: Settings,
) -> None:
    settings.KAFKA_SOURCE = "/shop"
    found = document(project())
    operation = found["operations"]["send.order.placed.json.Ordered"]
    assert operation["action"] == "send"
    assert operation["channel"] == {"$ref": "#/channels/order.placed.json"}
    assert "sample.Sample: created" in operation["description"]
    [message] = [resolve(found, ref["$ref"]) for ref in operation["messages"]]
    message = resolve(found, message["$ref"])
    assert (message["name"], message["summary"]) == ("Ordered", "A customer ordered.")
    headers = message["headers"]
    assert headers["properties"]["ce_source"]["const"] == "/shop"
    assert headers["properties"]["ce_type"]["const"] == "Ordered"
    assert headers["properties"]["ce_dataversion"]["const"] == "1"
    assert "ce_id" in headers["required"]
    price = found["components"]["schemas"]["Line-Output"]["properties"]["price"]
    assert price["type"] == "string", "a Decimal is text on the wire"


def test_a_group_receives_every_version_and_names_its_dead_letters(
    settings: Settings,
) -> None:
    settings.KAFKA_GROUP_PREFIX = "dev."
    found = document(project())
    operation = found["operations"]["receive.books.order.placed.json"]
    names = [ref["$ref"].rpartition("/")[2] for ref in operation["messages"]]
    assert names == ["Ordered", "OrderedAnew"]
    assert operation["bindings"]["kafka"]["groupId"]["const"] == "dev.books"
    assert "order.placed.json.dlq" in operation["description"]
    assert "order.placed.json.dlq" in found["channels"]
    assert "sample.created.json.dlq" not in found["channels"], "nobody here reads that topic"
    assert "required" not in found["components"]["messages"]["OrderedAnew"]["headers"]


def test_two_contracts_of_one_name_are_two_messages() -> None:
    messages = document(project())["components"]["messages"]
    named = [name for name in messages if "Bare" in name]
    assert len(named) == 2
    payloads = [json.dumps(messages[name]["payload"]) for name in named]
    assert payloads[0] != payloads[1]


def test_a_message_is_of_its_topics_format(validator: Draft7Validator) -> None:
    declared = project()
    declared.handlers.append(Handler("order.placed.avro", Ordered, "books", take))
    found = document(declared)
    assert problems(validator, found) == []
    messages = found["components"]["messages"]
    assert messages["Ordered"]["contentType"] == "application/json"
    assert messages["Ordered.avro"]["contentType"] == "application/avro"
    assert messages["Ordered.avro"]["bindings"]["kafka"]["schemaIdLocation"] == "payload"
    assert list(found["channels"]["order.placed.avro"]["messages"]) == ["Ordered.avro"]


def test_every_version_that_a_handler_lifts_is_received() -> None:
    lift = Upcasts.of({Ordered: lambda old: OrderedAnew.model_validate(old.model_dump())})
    handler = Handler("order.placed.json", OrderedAnew, "books", take, upcasts=lift)
    found = document(Registry(handlers=[handler]))
    [operation] = found["operations"].values()
    assert len(operation["messages"]) == 2


def test_the_catalogue_says_how_a_topic_is_kept(settings: Settings, tmp_path: Path) -> None:
    catalogue = tmp_path / "topics.yaml"
    catalogue.write_text(
        "topics:\n  - name: order.placed.json\n    description: Orders.\n    partitions: 5\n"
        "    retention_days: 2\n    config: {cleanup.policy: 'compact,delete'}\n"
    )
    settings.KAFKA_TOPICS_FILE = str(catalogue)
    channel = document(project())["channels"]["order.placed.json"]
    assert channel["description"] == "Orders."
    assert channel["bindings"]["kafka"] == {
        "partitions": 5,
        "replicas": 1,
        "topicConfiguration": {
            "retention.ms": 172_800_000,
            "cleanup.policy": ["compact", "delete"],
        },
        "bindingVersion": "0.5.0",
    }


def test_security_is_named_and_no_secret_is(validator: Draft7Validator, settings: Settings) -> None:
    settings.KAFKA_BROKER = "one:9093, two:9093"
    settings.KAFKA_SECURITY_PROTOCOL = "SASL_SSL"
    settings.KAFKA_SASL_USERNAME = "user-not-to-be-seen"
    settings.KAFKA_SASL_PASSWORD = "word-not-to-be-seen"
    settings.KAFKA_SSL_CERTIFICATE_LOCATION = "/path/not-to-be-seen"
    found = document(project())
    assert problems(validator, found) == []
    assert [server["host"] for server in found["servers"].values()] == ["one:9093", "two:9093"]
    assert {server["protocol"] for server in found["servers"].values()} == {"kafka-secure"}
    schemes = found["components"]["securitySchemes"]
    assert [scheme["type"] for scheme in schemes.values()] == ["scramSha512", "X509"]
    assert "not-to-be-seen" not in as_json(found)


def test_yaml_says_the_same_without_anchors() -> None:
    found = document(project())
    text = as_yaml(found)
    assert yaml.safe_load(text) == json.loads(as_json(found))
    assert "&id" not in text
    assert text.startswith("asyncapi: 3.0.0")


def test_a_contract_that_no_schema_describes_is_named() -> None:
    class Odd(EventData):
        test: Callable[[], None]

    with pytest.raises(Undescribable, match=r"Odd cannot.*WithJsonSchema"):
        document(Registry(handlers=[Handler("odd.thing.json", Odd, "books", take)]))
