"""Benchmarks are run as programs, small."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import ROOT


@pytest.fixture
def figures_of(environment: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """Run a benchmark and return its figures."""

    def run(name: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *arguments],
            cwd=ROOT,
            env=environment | {"DJANGO_SETTINGS_MODULE": "benchmarks.settings"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f'{{"benchmark": "{name}", ')
        figures: dict[str, Any] = json.loads(done.stdout)
        return figures

    return run
