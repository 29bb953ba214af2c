"""A copy of the working tree, in which mistakes are made and taken back."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .patches import Mutant, MutantError

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def workbench() -> Iterator[Path]:
    """Copy the files that git knows, as they are now; the copy is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as made:
        folder = Path(made).resolve()
        for name in _tracked():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        yield folder


@contextmanager
def mutated(folder: Path, mutant: Mutant) -> Iterator[None]:
    """Make a mistake in ``folder`` for the length of the block.

    Raises:
        MutantError: the patch does not apply any more.
    """
    apply(folder, mutant)
    try:
        yield
    finally:
        apply(folder, mutant, "--reverse")


def apply(folder: Path, mutant: Mutant, *options: str) -> None:
    """Apply a patch with ``git apply``.

    Args:
        options: of ``git apply``; with ``--check`` nothing is changed.

    Raises:
        MutantError: it does not apply any more.
    """
    command = ["git", "apply", *options, str(mutant.path)]
    # So that git does not take the copy for a part of a repository around it.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MutantError(
            f"{mutant.path.name} does not apply any more: {done.stderr.strip()}. Make the same "
            f"mistake in today's code and put what 'git diff -U1' says below the patch's header."
        )


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
