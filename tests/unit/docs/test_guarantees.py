"""Every test that ``docs/guarantees.md`` names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NAMED = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", (ROOT / "docs" / "guarantees.md").read_text())


def test_the_document_names_tests() -> None:
    assert len(NAMED) > 20


def test_each_named_test_exists() -> None:
    missing = [
        f"{path}::{name}" for path, name in NAMED if f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert missing == []
