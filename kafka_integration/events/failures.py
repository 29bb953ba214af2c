"""How a batch handler says which of its events failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import KafkaIntegrationError
from .envelope import Event, Message

_SHOWN = 5


class RecordsFailed(KafkaIntegrationError):
    """Raised when a batch handler could not handle some of its events.

    What it did for the others is rolled back and done again without those. Each of those is judged
    by its own exception: tried again, parked, ignored or given up.

    Args:
        failures: the events that failed, each with what is wrong with it.

    Raises:
        ValueError: no failure is given.
    """

    def __init__(self, failures: Iterable[tuple[Event[Any], Exception]]) -> None:
        self.failures = list(failures)
        if not self.failures:
            raise ValueError("RecordsFailed needs the events that failed. Return if none did.")
        shown = [f"{event.message.place()}: {error}" for event, error in self.failures[:_SHOWN]]
        more = len(self.failures) - len(shown)
        super().__init__("; ".join(shown) + (f"; and {more} more" if more else ""))

    def of(self, message: Message) -> Exception | None:
        """Return what is wrong with the event of ``message``, or None if it did not fail."""
        return next((error for event, error in self.failures if event.message is message), None)
