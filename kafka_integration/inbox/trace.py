"""Where a handler failed: its own lines, without those of ours that called it."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

from ..errors import MessageError

_OURS = str(Path(__file__).parent.parent) + os.sep
_STANDARD = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = {"site-packages", "dist-packages"}

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def described(error: BaseException) -> str:
    """Return class, message, and the file and line of the project where ``error`` came from."""
    place = _place(error)
    return f"{type(error).__name__}: {error}" + (f" ({place})" if place else "")


def from_handler(error: BaseException) -> ExcInfo:
    """Return what ``logging`` takes as ``exc_info``: the traceback from the handler's frame on.

    An error that no handler raised keeps its whole traceback.
    """
    found = error.__traceback__
    while found is not None and _is_ours(found.tb_frame.f_code.co_filename):
        found = found.tb_next
    return type(error), error, found or error.__traceback__


def worth_showing(error: BaseException) -> ExcInfo | None:
    """Return :func:`from_handler`, or None where a message is wrong in itself: no code is."""
    return None if isinstance(error, MessageError) else from_handler(error)


def _place(error: BaseException) -> str:
    """Return the last line of the project's own code, or nothing if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_projects(frame.filename)]
    return f"{_short(own[-1].filename)}:{own[-1].lineno}" if own else ""


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OURS)


def _is_projects(filename: str) -> bool:
    # <string> and <frozen importlib._bootstrap> are no files.
    if filename.startswith((_OURS, _STANDARD, "<")):
        return False
    return _INSTALLED.isdisjoint(Path(filename).parts)


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
