"""The README's table of settings agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

from kafka_integration.conf import Setting, Settings, default_broker

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "README.md"


def row(setting: Setting[object]) -> str:
    if setting.default is default_broker:
        default = "`kafka:9092` in a container, `localhost:29092` elsewhere"
    else:
        value = setting.default() if callable(setting.default) else setting.default
        default = f"`{value}`" if value not in ("", {}, ()) else ""
    return f"| `{setting.name}` | {default} | {setting.help} |"


def table() -> str:
    return "\n".join(
        ["| name | default | meaning |", "| --- | --- | --- |", *map(row, Settings.all())]
    )


def test_every_setting_stands_in_the_readme_with_its_default_and_meaning() -> None:
    marks = r"<!-- settings: .*?-->\n(.*?)\n?<!-- /settings -->"
    found = re.search(marks, README.read_text(), re.DOTALL)
    assert found is not None
    assert found.group(1) == table(), f"put this table between the marks:\n{table()}"


def test_every_setting_of_the_package_stands_in_the_example_environment() -> None:
    example = (ROOT / ".env.example").read_text()
    missing = [setting.name for setting in Settings.all() if f"{setting.name}=" not in example]
    assert missing == []
