"""Signals that one object listens to for as long as a block runs."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from django.dispatch import Signal
from typing_extensions import Self


class Receivers:
    """Connects an object's methods to signals inside a ``with`` block.

    A subclass returns its pairs of signal and method from :meth:`pairs`.
    """

    def pairs(self) -> tuple[tuple[Signal, Callable[..., None]], ...]:
        """Return which method listens to which signal."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        for signal, method in self.pairs():
            signal.connect(method, weak=False, dispatch_uid=(id(self), id(signal)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signal, _ in self.pairs():
            signal.disconnect(dispatch_uid=(id(self), id(signal)))
