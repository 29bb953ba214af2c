"""What can go wrong, each with its cure in the message.

::

    NativeError
    ├── MissingProgramError   something has to be installed first
    ├── StepFailedError       a program we ran to the end returned an error
    ├── StartFailedError      a service did not become ready
    ├── StopFailedError       a process outlived SIGKILL
    └── NotRunningError       an answer needs services that are not up
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class NativeError(Exception):
    """Raised when a native service cannot do what was asked; base of the tree."""


class MissingProgramError(NativeError):
    """Raised when programs are absent and cannot be installed from here."""

    def __init__(self, programs: Sequence[str], cure: str) -> None:
        self.programs = tuple(programs)
        super().__init__(f"not installed: {', '.join(programs)}. {cure}")


class StepFailedError(NativeError):
    """Raised when a program that should have ended well returned an error."""

    def __init__(self, step: str, returncode: int, output: str, cure: str = "") -> None:
        self.step = step
        self.returncode = returncode
        self.output = output
        tail = "\n".join(output.strip().splitlines()[-15:])
        super().__init__(f"{step} failed with exit code {returncode}. {cure}\n{tail}".strip())


class StartFailedError(NativeError):
    """Raised when a service ended, or did not answer, while it was starting."""

    def __init__(self, service: str, reason: str, log: Path) -> None:
        self.service = service
        self.log = log
        super().__init__(f"{service} {reason}. Its log, {log}, ends with:\n{_tail(log)}")


class StopFailedError(NativeError):
    """Raised when a process is still there after SIGKILL."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(f"process {pid} outlived SIGKILL; look at it with: ps -fp {pid}")


class NotRunningError(NativeError):
    """Raised when services are asked for their addresses and are not up."""

    def __init__(self, services: Sequence[str]) -> None:
        self.services = tuple(services)
        super().__init__(
            f"not running: {', '.join(services)}. Start with: python3 -m devops.native up"
        )


def _tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, or a word on why there are none."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
