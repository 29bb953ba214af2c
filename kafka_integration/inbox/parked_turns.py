"""When to look for what an operator wants tried again."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from ..database import close_connections, is_outage
from .dispatch import Outcome
from .parked import ParkedRecords

log = logging.getLogger(__name__)

_EVERY = 1.0
_OUTAGE_SECONDS = 5.0


class _Away:
    """The database did not say."""


Found = Outcome | _Away | None
Submit = Callable[[Callable[[], Found]], Future[Found]]


class ParkedTurns:
    """Runs parked records in a handlers' thread, one at a time; looks again at once if one was due.

    Args:
        group: the consumer group.
        records: its parked records.
        submit: lets a thread run something.
    """

    def __init__(self, group: str, records: ParkedRecords, submit: Submit) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.idle = False
        """Whether the last look found none, and nothing is under way."""
        self._group = group
        self._records = records
        self._submit = submit
        self._look_at = 0.0
        self._running: Future[Found] | None = None

    def turn(self) -> None:
        """Begin a look, or take what the last one found.

        Raises:
            Exception: what is no outage; the consumer cannot go on.
        """
        if self._running is None and time.monotonic() >= self._look_at:
            self.idle = False
            self._running = self._submit(self._look)
        if self._running is not None and self._running.done():
            found, self._running = self._running.result(), None
            self._take(found)

    def _look(self) -> Found:
        try:
            return self._records.run_one()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("Group %s cannot look for parked records: %s", self._group, error)
            close_connections()
            return _Away()

    def _take(self, found: Found) -> None:
        if isinstance(found, Outcome):
            self.idle = False
            self.outcomes[found] += 1
            return
        self.idle = True
        self._look_at = time.monotonic() + (_OUTAGE_SECONDS if found else _EVERY)
