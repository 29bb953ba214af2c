"""A schema as rows."""

from __future__ import annotations

from kafka_integration.web.fields import fields_of, type_in_words

SCHEMAS = {
    "Node": {
        "properties": {
            "name": {"type": "string"},
            "next": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]},
        },
        "required": ["name"],
    }
}


def test_a_contract_that_holds_itself_ends() -> None:
    rows = fields_of({"$ref": "#/components/schemas/Node"}, SCHEMAS)
    assert [(row.path, row.is_required) for row in rows] == [("name", True), ("next", False)]


def test_types_in_words() -> None:
    assert type_in_words({"type": "array", "items": {"type": "integer"}}, {}) == "list of integer"
    assert type_in_words({"enum": ["a", "b"]}, {}) == "one of 'a', 'b'"
    assert type_in_words({"const": 1}, {}) == "always 1"
    assert type_in_words({}, {}) == "anything"
