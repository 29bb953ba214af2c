"""Programs that an acceptance test runs, in an environment that is not ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_OURS = (
    "CELERY_",
    "DATABASE_URL",
    "DJANGO_",
    "KAFKA_",
    "MEDIAJIRA_",
    "PYTEST_",
    "PYTHON",
    "SAMPLE_",
    "SECRET_KEY",
    "VIRTUAL_ENV",
)


def clean_environment(**further: str) -> dict[str, str]:
    """Return the environment of this process without any setting that belongs to MediaJira."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | further


def succeed(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 300
) -> str:
    """Run a program to its end and return its output; fail with that output if it fails.

    Args:
        env: the whole environment; by default :func:`clean_environment`.
        timeout: seconds.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment() if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    shown = " ".join(str(part) for part in command)
    assert done.returncode == 0, f"exit code {done.returncode} from: {shown}\n{done.stdout}"
    return done.stdout


def make_environment(folder: Path, *packages: str | Path) -> Path:
    """Make a virtual environment that holds ``packages``; return its interpreter."""
    folder.mkdir(parents=True, exist_ok=True)
    succeed(sys.executable, "-m", "venv", "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    succeed(python, "-m", "pip", "install", *quiet, *packages, cwd=folder, timeout=600)
    return python
