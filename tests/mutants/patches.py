"""The patches of this folder: what each breaks, and which tests must fail."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_BREAKS, _FAILS = "Breaks: ", "Fails: "


class MutantError(Exception):
    """The mutation check itself cannot go on; the message names the cure."""


@dataclass(frozen=True)
class TestId:
    """What pytest calls a test, without parameters for all of them: ``path::Class::test[x]``."""

    __test__ = False  # for pytest, which collects what is named Test

    text: str

    @property
    def path(self) -> str:
        """The file."""
        return self.text.partition("::")[0]

    @property
    def function(self) -> str:
        """The name of the function."""
        return self.text.rpartition("::")[2].partition("[")[0]

    @property
    def needs_services(self) -> bool:
        """Whether it runs against Kafka, PostgreSQL and Redis."""
        return not self.path.startswith("tests/unit/")

    def covers(self, other: str) -> bool:
        """Tell whether a test that has run is this one, with any parameters if we name none."""
        return other == self.text or other.startswith(f"{self.text}[")


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Args:
        name: what the file is called, without its ending.
        path: the patch.
        breaks: the promise that it breaks.
        tests: those that must fail, every one of them.
    """

    name: str
    path: Path
    breaks: str
    tests: tuple[TestId, ...]

    @classmethod
    def read(cls, path: Path) -> Mutant:
        """Read a patch.

        Raises:
            MutantError: it does not say what it breaks or which test must fail.
        """
        header, _, _ = path.read_text().partition("\ndiff --git ")
        breaks = re.findall(rf"^{_BREAKS}(.+)$", header, re.MULTILINE)
        tests = re.findall(rf"^{_FAILS}(\S+)$", header, re.MULTILINE)
        if len(breaks) != 1 or not tests:
            raise MutantError(
                f"{path.name} must begin with one line '{_BREAKS}promise' and a line "
                f"'{_FAILS}tests/path.py::test' for each test that must fail."
            )
        return cls(path.stem, path, breaks[0], tuple(map(TestId, tests)))


def mutants(names: Collection[str] = (), folder: Path = FOLDER) -> list[Mutant]:
    """Return the mutants of these names, or all.

    Raises:
        MutantError: there is none of a name.
    """
    paths = {path.stem: path for path in folder.glob("*.patch")}
    unknown = sorted(set(names) - set(paths))
    if unknown:
        raise MutantError(
            f"No mutant is called {', '.join(unknown)}. There are: {', '.join(sorted(paths))}."
        )
    return [Mutant.read(path) for name, path in sorted(paths.items()) if not names or name in names]
