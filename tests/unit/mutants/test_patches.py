"""Every patch still applies, names tests that exist, and stands in the document's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.patches import FOLDER, Mutant, MutantError, TestId, mutants
from tests.mutants.workbench import ROOT, apply, mutated

PATCHES = sorted(FOLDER.glob("*.patch"))
TABLE = (ROOT / "docs" / "guarantees.md").read_text()


@pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)
def test_a_patch_applies_names_its_tests_and_stands_in_the_table(path: Path) -> None:
    mutant = Mutant.read(path)
    apply(ROOT, mutant, "--check")
    for test in mutant.tests:
        assert f"def {test.function}(" in (ROOT / test.path).read_text(), test.text
    [line] = [line for line in TABLE.splitlines() if line.startswith(f"| `{mutant.name}` |")]
    assert mutant.breaks in line
    for test in mutant.tests:
        assert f"`{test.function}`" in line


def test_the_mistakes_that_were_promised_are_there() -> None:
    assert len(PATCHES) >= 12


def patch(folder: Path, header: str, *, old: str = "one") -> Path:
    found = folder / "a-mistake.patch"
    found.write_text(
        f"{header}\ndiff --git a/code.py b/code.py\n--- a/code.py\n+++ b/code.py\n"
        f"@@ -1 +1 @@\n-{old}\n+two\n"
    )
    return found


HEADER = "Breaks: G1: a promise.\nFails: tests/unit/test_a.py::test_b\n"


def test_a_mistake_is_made_and_taken_back(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text("one\n")
    with mutated(tmp_path, Mutant.read(patch(tmp_path, HEADER))):
        assert code.read_text() == "two\n"
    assert code.read_text() == "one\n"


def test_a_patch_that_no_longer_applies_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("another\n")
    stale = Mutant.read(patch(tmp_path, HEADER))
    with pytest.raises(MutantError, match=r"a-mistake\.patch does not apply any more: .*code\.py"):
        apply(tmp_path, stale)


@pytest.mark.parametrize(
    "header", ["", "Breaks: G1.\n", "Fails: tests/unit/test_a.py::test_b\n", HEADER + HEADER]
)
def test_a_patch_says_once_what_it_breaks_and_which_test_fails(tmp_path: Path, header: str) -> None:
    with pytest.raises(MutantError, match="must begin with one line 'Breaks: "):
        Mutant.read(patch(tmp_path, header))


def test_mutants_are_chosen_by_name(tmp_path: Path) -> None:
    patch(tmp_path, HEADER)
    assert [mutant.name for mutant in mutants((), tmp_path)] == ["a-mistake"]
    assert [mutant.name for mutant in mutants(["a-mistake"], tmp_path)] == ["a-mistake"]
    with pytest.raises(MutantError, match=r"called b, c\. There are: a-mistake"):
        mutants(["c", "b"], tmp_path)


def test_a_test_without_parameters_stands_for_all_of_them() -> None:
    named = TestId("tests/unit/test_a.py::TestB::test_c")
    assert (named.path, named.function) == ("tests/unit/test_a.py", "test_c")
    assert named.covers(named.text)
    assert named.covers(f"{named.text}[x]")
    assert not named.covers(f"{named.text}_too")
    one = TestId("tests/unit/test_a.py::test_c[x]")
    assert one.function == "test_c"
    assert not one.covers("tests/unit/test_a.py::test_c[y]")


def test_only_tests_of_units_need_no_services() -> None:
    assert not TestId("tests/unit/test_a.py::test_b").needs_services
    assert TestId("tests/integration/test_a.py::test_b").needs_services
