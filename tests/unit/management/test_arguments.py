"""Numbers as arguments: what is out of range is refused by name."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest
from django.core.management import CommandError, call_command

from kafka_integration.management.arguments import count, seconds


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("30", 30), ("0.5", 0.5), ("1e1", 10)])
def test_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "2m", ""])
def test_what_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="seconds"):
        seconds(text)


@pytest.mark.parametrize("text", ["1", "500"])
def test_a_count(text: str) -> None:
    assert count(text) == int(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "", "²"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="one or more"):
        count(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("kafka_relay", "--timeout", "-1"),
        ("kafka_relay", "--batch-size", "0"),
        ("kafka_consume", "--workers", "0"),
        ("kafka_consume", "--max-messages", "-5"),
    ],
)
def test_commands_name_the_argument_that_makes_no_sense(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=arguments[1]):
        call_command(*arguments)
