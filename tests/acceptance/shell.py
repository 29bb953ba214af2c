"""A bash session that is typed into, one command after the other."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_END = "--command-ended--"


class Shell:
    """Keeps directory, variables and an activated environment from one command to the next.

    Use it as a context manager.

    Args:
        folder: where it starts.
        environment: its whole environment.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *error: object) -> None:
        self._bash.kill()
        self._bash.communicate()

    def type(self, command: str, timeout: float = 300) -> str:
        """Run a command and return its output; fail with that output if it fails.

        Args:
            timeout: seconds after which the session is ended.
        """
        assert self._bash.stdin is not None
        # The command must not read what is typed after it.
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{_END} %s\\n' $?\n")
        self._bash.stdin.flush()
        with self._ended_after(timeout):
            output, code = self._answer()
        assert code == "0", f"exit code {code} from: {command}\n{output}"
        return output

    def _answer(self) -> tuple[str, str]:
        assert self._bash.stdout is not None
        lines: list[str] = []
        for line in self._bash.stdout:
            if line.startswith(_END):
                return "".join(lines).strip(), line.split()[1]
            lines.append(line)
        raise AssertionError("the session ended or was too slow:\n" + "".join(lines))

    @contextmanager
    def _ended_after(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._bash.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
