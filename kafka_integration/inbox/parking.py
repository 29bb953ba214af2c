"""Puts messages aside in the inbox, so that their group may go on past them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from ..conf import settings
from ..errors import MessageError
from ..events.registry import Handler
from .dispatch import Outcome, choose
from .job import Again, Done, Job, Verdict
from .parked_records import parked_of, record_ignored, record_parked
from .policy import handler_for
from .store import Identity, storable
from .trace import described
from .waiting import Waiting

log = logging.getLogger(__name__)

_FULL_SECONDS = 1.0


class Parking:
    """Parks messages: those whose next try is far off, and those behind them.

    Args:
        handlers: the group's handlers.
        waiting: told of what is parked.
    """

    def __init__(self, handlers: Sequence[Handler], waiting: Waiting) -> None:
        self._handlers = handlers
        self._waiting = waiting

    def park(self, job: Job, who: Identity, error: Exception, seconds: float) -> Done:
        """Park a message that failed; its next try is in so many seconds."""
        now, text = timezone.now(), storable(described(error))
        handler = handler_for(job.message, self._handlers)
        fresh = record_parked(
            who,
            job.message,
            using=handler.using,
            handler=handler.name,
            attempts=job.attempt,
            error=text,
            available_at=now + timedelta(seconds=seconds),
            tried_at=job.tried_at or now,
        )
        if not fresh:
            return Done(self.meet(job, who, handler.using))
        log.warning(
            "Group %s: try %d of %s failed, again in %.1f s. Until then it is parked, and the "
            "later messages of its key wait behind it: %s",
            who.group,
            job.attempt,
            job.message.place(),
            seconds,
            text,
        )
        self._waiting.note(job.lane, job.message.outline(), time.monotonic() + seconds)
        return Done(Outcome.PARKED, text, error=error, attempt=job.attempt, pause=seconds)

    def behind(self, job: Job, who: Identity) -> Verdict:
        """Park a message behind those of its key that are parked.

        Returns:
            :class:`Again` if so many are parked there that it has to wait in memory.
        """
        try:
            if choose(job.message, self._handlers) is None:
                return Done(Outcome.IGNORED)
        except MessageError:
            pass  # a dead letter, once its turn comes
        number = self._waiting.number(job.lane)
        if number >= settings.parked_per_key:
            log.warning(
                "Group %s: %d messages of one key are parked, and no more may be: %s waits in "
                "memory. See KAFKA_PARKED_PER_KEY.",
                who.group,
                number,
                job.message.place(),
            )
            return Again(_FULL_SECONDS)
        handler = handler_for(job.message, self._handlers)
        fresh = record_parked(who, job.message, using=handler.using, handler=handler.name)
        if not fresh:
            return Done(self.meet(job, who, handler.using))
        self._waiting.note(job.lane, job.message.outline(), time.monotonic())
        return Done(Outcome.PARKED)

    def ignore(self, job: Job, who: Identity, error: Exception) -> Done:
        """Take a message that failed as dealt with; the inbox keeps the reason."""
        text = storable(described(error))
        handler = handler_for(job.message, self._handlers)
        record_ignored(
            who,
            job.message,
            using=handler.using,
            handler=handler.name,
            attempts=job.attempt,
            error=text,
        )
        log.warning("Group %s ignores %s: %s", who.group, job.message.place(), text)
        return Done(Outcome.IGNORED, text)

    def meet(self, job: Job, who: Identity, using: str) -> Outcome:
        """Return what the record says that a message has: it may be parked, by whomever."""
        if not parked_of({who}, using):
            return Outcome.DUPLICATE
        self._waiting.note(job.lane, job.message.outline(), time.monotonic(), number=0)
        return Outcome.PARKED
