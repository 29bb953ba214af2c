"""Runs tests in a copy, and judges whether they have found a mistake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from .patches import TestId

SECONDS = 180.0
_SERVICES = ("DATABASE_URL", "KAFKA_BROKER", "CELERY_BROKER_URL")
_TESTS_FAILED = 1
_SHOWN = 600


@dataclass(frozen=True)
class Ran:
    """What pytest said of one run.

    Args:
        code: its exit code; None if it took too long and was ended.
        outcomes: ``passed``, ``failed`` or ``error`` for each test that ran, by its id.
        output: what it printed.
    """

    code: int | None
    outcomes: Mapping[str, str] = field(default_factory=dict)
    output: str = ""

    def tail(self) -> str:
        """Return the end of what it printed."""
        return self.output.strip()[-_SHOWN:]


def why_not_sound(ran: Ran, tests: Iterable[TestId]) -> str:
    """Return why a run on good code proves nothing, or an empty text if all tests passed."""
    missing = [t.text for t in tests if not any(t.covers(name) for name in ran.outcomes)]
    failing = [name for name, outcome in ran.outcomes.items() if outcome != "passed"]
    if ran.code is None:
        return "the tests take too long without any mistake"
    if missing:
        return f"not run: {', '.join(missing)}"
    if ran.code or failing:
        return f"these fail without any mistake: {', '.join(failing) or 'see the output'}"
    return ""


def why_not_killed(ran: Ran, tests: Iterable[TestId]) -> str:
    """Return why a run does not show that ``tests`` find the mistake; empty if it does.

    Only a test that fails finds one: code that cannot be imported, a fixture that breaks, a crash
    or a hang would show nothing of what the test asserts.
    """
    if ran.code is None:
        return "the tests took too long"
    if ran.code == 0:
        return "the tests pass"
    errors = [name for name, outcome in ran.outcomes.items() if outcome == "error"]
    if ran.code != _TESTS_FAILED or errors:
        return f"pytest broke (exit code {ran.code}) {' '.join(errors)}".strip()
    failed = [name for name, outcome in ran.outcomes.items() if outcome == "failed"]
    passing = [t.text for t in tests if not any(t.covers(name) for name in failed)]
    return f"these pass: {', '.join(passing)}" if passing else ""


def run(folder: Path, tests: Sequence[TestId], seconds: float = SECONDS) -> Ran:
    """Run tests in ``folder`` with our own interpreter: those of units without services."""
    kinds = [[t for t in tests if not t.needs_services], [t for t in tests if t.needs_services]]
    return combined([_run(folder, kind, seconds) for kind in kinds if kind])


def combined(runs: Sequence[Ran]) -> Ran:
    """Return several runs as one; its exit code is the first that is not 0."""
    codes = [ran.code for ran in runs if ran.code != 0]
    outcomes = {name: outcome for ran in runs for name, outcome in ran.outcomes.items()}
    return Ran(codes[0] if codes else 0, outcomes, "\n".join(ran.output for ran in runs))


def _run(folder: Path, tests: Sequence[TestId], seconds: float) -> Ran:
    report = folder / "mutants-report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [f"--junitxml={report}", "-o", "junit_family=xunit1", *(t.text for t in tests)]
    environment = dict(os.environ)
    # A patch may leave a file's size and second as they were, by which Python tells stale bytecode.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    if not tests[0].needs_services:
        environment = {k: v for k, v in environment.items() if k not in _SERVICES}
    code, output = _bounded(command, folder, environment, seconds)
    return Ran(code, dict(_outcomes(report)) if code is not None else {}, output)


def _bounded(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float
) -> tuple[int | None, str]:
    """Run a command with all that it starts, and end all of it if it takes too long."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, output


def _outcomes(report: Path) -> Iterator[tuple[str, str]]:
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        path = case.get("file", "")
        module = path.removesuffix(".py").replace("/", ".")
        classes = case.get("classname", "").removeprefix(module).strip(".")
        parts = [path, *filter(None, classes.split(".")), case.get("name", "")]
        failed, broke = case.find("failure") is not None, case.find("error") is not None
        yield "::".join(parts), "error" if broke else "failed" if failed else "passed"
