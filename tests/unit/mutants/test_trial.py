"""What counts as a mistake found, and what pytest's own report is read as."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.patches import TestId
from tests.mutants.trial import Ran, combined, run, why_not_killed, why_not_sound

A, B = TestId("tests/unit/test_x.py::test_a"), TestId("tests/unit/test_x.py::test_b")


@pytest.mark.parametrize(
    ("ran", "reason"),
    [
        (Ran(1, {A.text: "failed"}), ""),
        (Ran(1, {f"{A.text}[x]": "failed", f"{A.text}[y]": "passed"}), ""),
        (Ran(0, {A.text: "passed"}), "the tests pass"),
        (Ran(1, {A.text: "error"}), "pytest broke (exit code 1) tests/unit/test_x.py::test_a"),
        (Ran(2), "pytest broke (exit code 2)"),
        (Ran(4), "pytest broke (exit code 4)"),
        (Ran(-11), "pytest broke (exit code -11)"),
        (Ran(1), "these pass: tests/unit/test_x.py::test_a"),
        (Ran(None), "the tests took too long"),
    ],
)
def test_only_a_test_that_fails_has_found_a_mistake(ran: Ran, reason: str) -> None:
    assert why_not_killed(ran, [A]) == reason


def test_each_named_test_must_fail() -> None:
    ran = Ran(1, {A.text: "failed", B.text: "passed"})
    assert why_not_killed(ran, [A, B]) == f"these pass: {B.text}"


@pytest.mark.parametrize(
    ("ran", "reason"),
    [
        (Ran(0, {A.text: "passed"}), ""),
        (Ran(1, {A.text: "failed"}), f"these fail without any mistake: {A.text}"),
        (Ran(0), f"not run: {A.text}"),
        (Ran(4), f"not run: {A.text}"),
        (Ran(None), "the tests take too long without any mistake"),
    ],
)
def test_on_good_code_every_named_test_must_run_and_pass(ran: Ran, reason: str) -> None:
    assert why_not_sound(ran, [A]) == reason


def test_of_several_runs_the_first_that_did_not_end_well_counts() -> None:
    both = combined([Ran(0, {A.text: "passed"}), Ran(1, {B.text: "failed"}), Ran(2)])
    assert (both.code, both.outcomes) == (1, {A.text: "passed", B.text: "failed"})
    assert combined([Ran(0), Ran(None)]).code is None


TESTS = """
import time, pytest

def test_good(): pass

class TestClass:
    @pytest.mark.parametrize("number", [1, 2])
    def test_bad(self, number): assert number == 1

@pytest.fixture
def broken(): raise ValueError

def test_broken(broken): pass

def test_slow(): time.sleep(600)
"""


def test_pytests_report_is_read_by_the_ids_of_its_tests(tmp_path: Path) -> None:
    path = "tests/unit/test_it.py"
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:django -p no:randomly\n")
    (tmp_path / path).write_text(TESTS)
    named = [TestId(f"{path}::{name}") for name in ("test_good", "TestClass", "test_broken")]
    ran = run(tmp_path, named)
    assert ran.code == 1
    assert ran.outcomes == {
        f"{path}::test_good": "passed",
        f"{path}::TestClass::test_bad[1]": "passed",
        f"{path}::TestClass::test_bad[2]": "failed",
        f"{path}::test_broken": "error",
    }
    assert "1 failed, 2 passed, 1 error" in ran.tail()
    assert run(tmp_path, [TestId(f"{path}::test_slow")], 1).code is None
