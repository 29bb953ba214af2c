"""Processes: started apart from the terminal, known by id and start time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import StepFailedError, StopFailedError

POLL = 0.05
KILL_SECONDS = 10.0
# Kept so that our own children are reaped, and not warned about when collected.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Command:
    """What to run, where, and as whom."""

    args: Sequence[str]
    cwd: Path
    user: str | None = None
    environment: Mapping[str, str] | None = None


def progress(message: str) -> None:
    """Tell a person what takes long."""
    print(f"native: {message}", file=sys.stderr, flush=True)


def spawn(command: Command, log: Path) -> tuple[int, str]:
    """Start a service in a session of its own: Ctrl-C in a terminal spares it."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command.args),
            cwd=command.cwd,
            env=command.environment,
            user=command.user,
            group=command.user,
            extra_groups=[] if command.user else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    return child.pid, start_time(child.pid)


def finish(command: Command, step: str, stdin: str = "", cure: str = "") -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(
        list(command.args),
        cwd=command.cwd,
        env=command.environment,
        user=command.user,
        group=command.user,
        extra_groups=[] if command.user else None,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StepFailedError(step, done.returncode, done.stdout, cure)
    return done.stdout


def start_time(pid: int) -> str:
    """When a process began, as text to compare; empty if it has ended."""
    if Path("/proc/self/stat").exists():
        return _start_time_from_proc(pid)
    asked = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def _start_time_from_proc(pid: int) -> str:
    """The boot's id and the clock ticks since; a zombie counts as ended."""
    try:
        # The program's name stands in parentheses and may itself hold some.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def alive(pid: int, started: str) -> bool:
    """Whether that very process runs, not a later one with its id."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
    return pid > 0 and bool(started) and start_time(pid) == started


def stop(pid: int, started: str, signum: signal.Signals, seconds: float) -> None:
    """Ask a process to end, and make it end if it does not."""
    for attempt, patience in ((signum, seconds), (signal.SIGKILL, KILL_SECONDS)):
        if not alive(pid, started):
            return
        send(pid, attempt)
        # A process that a test has frozen hears nothing until it goes on.
        send(pid, signal.SIGCONT)
        if _wait_gone(pid, started, patience):
            return
    raise StopFailedError(pid)


def send(pid: int, signum: signal.Signals) -> None:
    """Signal a process that may end at the same moment."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return


def _wait_gone(pid: int, started: str, seconds: float) -> bool:
    """Wait for a process to end."""
    deadline = time.monotonic() + seconds
    while alive(pid, started):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
