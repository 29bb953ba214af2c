"""The tree of errors, as it is drawn and as it is."""

from __future__ import annotations

import inspect
import re

import pytest

from kafka_integration import errors
from kafka_integration.errors import KafkaIntegrationError


def classes() -> list[type[KafkaIntegrationError]]:
    """Return every error of the module, in its order."""
    return [
        found
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, KafkaIntegrationError)
    ]


def drawn() -> dict[str, str]:
    """Return the parent of each class in the drawing of the module's docstring."""
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^( {4}[│├└─ ]*)([A-Z]\w+)", line)
        if found:
            depth = len(found[1]) // 4
            above[depth] = found[2]
            parents[found[2]] = above.get(depth - 1, "")
    return parents


def test_the_drawing_agrees_with_the_classes() -> None:
    actual = {found.__name__: found.__bases__[0].__name__ for found in classes()}
    assert drawn() == actual | {"KafkaIntegrationError": ""}
    assert len(actual) > 15


@pytest.mark.parametrize("error", classes())
def test_each_says_when_it_is_raised(error: type[KafkaIntegrationError]) -> None:
    assert error.__module__ == errors.__name__
    assert (error.__doc__ or "").startswith("Raised when ")


@pytest.mark.parametrize("error", classes())
def test_what_an_error_is_given_it_keeps_and_tells(error: type[KafkaIntegrationError]) -> None:
    if "__init__" not in vars(error):
        assert str(error("told as it is")) == "told as it is"
        return
    names = list(inspect.signature(error).parameters)
    given = {name: 7 if name in ("size", "limit", "seconds") else f"<{name}>" for name in names}
    many = ("events", "fields", "known", "places", "problems", "topics")
    lists = {name: [f"<{name}>"] for name in many}
    made = error(**given | {name: value for name, value in lists.items() if name in given})
    for name in names:
        assert hasattr(made, name)
        value = given[name]
        assert str(value) in str(made), f"{error.__name__} does not tell its {name}"
    assert re.search(r"[A-Z][^.]*\.|- <problems>", str(made))
