"""Old versions of a contract, and what makes the present one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DeclarationError
from .contract import EventData, require_contract

Upcast = Callable[[Any], EventData]
"""Makes data of a newer contract from data of an older one."""


class UnusableUpcast(DeclarationError):
    """Raised when an upcast is declared, or returns, what leads to no version that is handled."""


@dataclass(frozen=True)
class Upcasts:
    """How a handler reads older versions of its contract.

    Args:
        steps: an old contract, and what makes a newer one of its data; each at most once.
    """

    steps: tuple[tuple[type[EventData], Upcast], ...] = ()

    @classmethod
    def of(cls, steps: Mapping[type[EventData], Upcast] | None) -> Upcasts:
        """Return the upcasts that a declaration gives as a mapping."""
        return cls(tuple((steps or {}).items()))

    def __iter__(self) -> Iterator[type[EventData]]:
        return (contract for contract, _ in self.steps)

    def check(self, contract: type[EventData], declaration: str) -> None:
        """Check that each step begins at another version of ``contract``.

        Raises:
            NotAContract: one of them is none.
            UnusableUpcast: it has another type, or a version twice.
        """
        versions = {contract.event_version}
        for old in self:
            require_contract(old, declaration)
            if old.type_name() != contract.type_name():
                raise UnusableUpcast(
                    f"{declaration} has an upcast from {old.__name__} of type {old.type_name()!r}, "
                    f"and handles {contract.type_name()!r}. Give {old.__name__} "
                    f"event_type = {contract.type_name()!r}, or a handler of its own."
                )
            if old.event_version in versions:
                raise UnusableUpcast(
                    f"{declaration} would read version {old.event_version} of "
                    f"{contract.type_name()!r} in two ways. Give {old.__name__} another "
                    "event_version, or remove its upcast."
                )
            versions.add(old.event_version)

    def lift(self, data: EventData, contract: type[EventData]) -> EventData:
        """Return ``data`` as data of ``contract``, by as many steps as it takes.

        Raises:
            UnusableUpcast: no step leads on from what a step returned.
        """
        steps, begun = dict(self.steps), type(data).__name__
        while type(data) is not contract:
            step = steps.pop(type(data), None)  # none is taken twice: they cannot go in circles
            if step is None:
                raise UnusableUpcast(
                    f"The upcasts from {begun} end at {type(data).__name__}, not at "
                    f"{contract.__name__}. Return {contract.__name__}, or add an upcast from there."
                )
            data = step(data)
        return data
