"""Runs one command and passes signals on to it, so that what follows still runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# How long a command may clean up after it was told to end.
PATIENCE = 60.0


class Foreground:
    """Turns signals into an orderly end: first the command's, then ours."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._deadline = float("inf")
        self._closing = False
        # At a terminal the command shares our group, so that it can read the
        # keyboard and gets Ctrl-C directly. Elsewhere it leads a group of its own,
        # so that one signal reaches all that it started.
        self._interactive = sys.stdin is not None and sys.stdin.isatty()

    def install(self) -> None:
        """Handle the signals that end a program."""
        for signum in SIGNALS:
            signal.signal(signum, self._handle)

    def close(self) -> None:
        """From here on services are being stopped: let nothing cut that short."""
        self._closing = True

    def run(self, command: Sequence[str], variables: Mapping[str, str]) -> int:
        """Run the command to its end and return its exit code, as a shell gives it."""
        environment = {**os.environ, **variables}
        try:
            self._child = subprocess.Popen(
                list(command), env=environment, start_new_session=not self._interactive
            )
        except FileNotFoundError:
            print(f"native: no such command: {command[0]}", file=sys.stderr)
            return 127
        code = self._wait(self._child)
        return code if code >= 0 else 128 - code

    def _wait(self, child: subprocess.Popen[bytes]) -> int:
        """Wait, and lose patience only after a signal to end."""
        while True:
            try:
                return child.wait(timeout=1.0)
            except subprocess.TimeoutExpired:
                if time.monotonic() > self._deadline:
                    self._send(child, signal.SIGKILL)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        """Pass the signal on, or leave if there is no command yet."""
        if self._closing:
            return
        child = self._child
        if child is None or child.returncode is not None:
            self.close()
            raise SystemExit(128 + signum)
        if self._interactive and signum == signal.SIGINT:
            # The terminal has told the command, which may well go on, as a shell does.
            return
        self._send(child, signum)
        self._deadline = min(self._deadline, time.monotonic() + PATIENCE)

    def _send(self, child: subprocess.Popen[bytes], signum: int) -> None:
        """Signal the command, with its group if it has one of its own."""
        try:
            if self._interactive:
                os.kill(child.pid, signum)
            else:
                os.killpg(child.pid, signum)
        except ProcessLookupError:
            return
