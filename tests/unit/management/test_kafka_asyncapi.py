"""``manage.py kafka_asyncapi``: printed or written, as JSON or YAML."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("kafka_asyncapi", *arguments, stdout=out)
    return out.getvalue()


def test_json_is_printed_and_nothing_else() -> None:
    found = json.loads(run())
    assert found["asyncapi"] == "3.0.0"
    assert "campaign.created.json" in found["channels"]


def test_yaml_when_asked() -> None:
    assert yaml.safe_load(run("--format", "yaml")) == json.loads(run())


@pytest.mark.parametrize("name", ["events.yaml", "events.yml", "events.json"])
def test_a_file_is_written_in_the_format_that_its_name_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert str(path) in run("--output", str(path))
    text = path.read_text()
    assert text.startswith("{") == name.endswith("json")
    assert yaml.safe_load(text) == json.loads(run())


def test_the_format_wins_over_the_name(tmp_path: Path) -> None:
    path = tmp_path / "events.txt"
    run("--output", str(path), "--format", "yaml")
    assert path.read_text().startswith("asyncapi:")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="missing"):
        run("--output", str(tmp_path / "missing" / "events.json"))
