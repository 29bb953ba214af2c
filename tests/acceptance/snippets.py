"""The fenced blocks of a Markdown file, as a reader meets them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"^# (?P<path>[\w./-]+)(?P<append> \(add at the end\))?$")


@dataclass(frozen=True)
class Snippet:
    """One fenced block.

    Args:
        language: what stands behind the fence.
        text: what stands inside it.
        prose: what was said since the block before it.
    """

    language: str
    text: str
    prose: str

    @property
    def commands(self) -> list[str]:
        """The lines that a reader types at a prompt."""
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]

    @property
    def answers(self) -> list[str]:
        """The lines that a reader is told to see."""
        return [line for line in self.text.splitlines() if not line.startswith("$ ")]

    def write_into(self, folder: Path) -> None:
        """Do what the first line says: make that file, or add to the end of it."""
        named = _NAMED.match(self.text.partition("\n")[0])
        assert named, f"the block names no file in its first line:\n{self.text}"
        path = folder / named["path"]
        with path.open("a" if named["append"] else "w") as file:
            file.write(self.text)


def readme_section(title: str) -> list[Snippet]:
    """Return the fenced blocks of one section of README.md, in order."""
    readme = (ROOT / "README.md").read_text()
    parts = re.split(rf"^## {re.escape(title)}$", readme, flags=re.MULTILINE)
    assert len(parts) == 2, f"README.md has no single section {title!r}"
    # A comment in a block may look like a heading, but only with one hash.
    section = re.split(r"^## ", parts[1], maxsplit=1, flags=re.MULTILINE)[0]
    found, end = [], 0
    for block in _FENCED.finditer(section):
        found.append(Snippet(block[1], block[2], section[end : block.start()]))
        end = block.end()
    assert found, f"section {title!r} of README.md has no fenced block"
    return found
