"""Errors of MediaJira's own rules.

::

    DomainError
    └── IllegalTransition
"""

from __future__ import annotations

from collections.abc import Iterable


class DomainError(Exception):
    """Raised when something is asked for that MediaJira's rules forbid; the base of all others."""


class IllegalTransition(DomainError):
    """Raised when a status cannot follow the present one."""

    def __init__(self, subject: str, present: str, wanted: str, possible: Iterable[str]) -> None:
        self.subject = subject
        self.present = present
        self.wanted = wanted
        self.possible = tuple(possible)
        ways = ", ".join(self.possible) or "nothing: this is its end"
        super().__init__(
            f"{subject} is {present} and cannot become {wanted}. From here it can become {ways}."
        )
