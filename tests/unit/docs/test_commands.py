"""Commands that the documentation names exist, and so do the groups and make targets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from kafka_integration.events.registry import registry

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_management_commands_exist(page: Path) -> None:
    named = set(re.findall(r"manage\.py (\w+)", page.read_text()))
    assert named <= get_commands().keys() | {"startapp", "runserver"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)|\$ make ([a-z-]+)", page.read_text())) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }


def test_groups_of_mediajira_are_named_as_they_are() -> None:
    section = README.partition("## Running MediaJira itself")[2].partition("\n## ")[0]
    assert {"mediajira", "previews", "retrospectives"} == set(registry.groups()) - {"sample"}
    for group in ("--group mediajira", "previews", "retrospectives"):
        assert group in section
