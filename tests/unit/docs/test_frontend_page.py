"""The snippet of ``docs/frontend.md`` is the one that is run; the lockfile names no registry."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_snippet_is_the_tested_one() -> None:
    page = (ROOT / "docs" / "frontend.md").read_text()
    [snippet] = re.findall(r"```typescript\n(.*?)```", page, re.DOTALL)
    tested = lines((ROOT / "frontend" / "tests" / "real" / "seed.test.ts").read_text())
    assert [line for line in lines(snippet) if line not in tested] == []
    assert len(lines(snippet)) == 10


def test_the_lockfile_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "frontend" / "package-lock.json").read_text()
