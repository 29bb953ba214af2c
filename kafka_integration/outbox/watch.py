"""A relay's time in office: its leases, its end, and what it says while it must wait."""

from __future__ import annotations

import logging

from django.db import DatabaseError, InterfaceError, connections

from ..broker.producer import EventProducer
from ..conf import settings
from ..database import close_stale_connections, is_contention, is_outage
from ..errors import AuthenticationFailed, BrokerUnavailable, ConfigurationError
from ..flag import Flag
from ..models import OutboxQueue
from ..signals import relay_waiting
from .leases import Leases

log = logging.getLogger(__name__)

DATABASE_ERRORS = (DatabaseError, InterfaceError)

_OUTAGE_PAUSE = 1.0
_SLICE = 0.2
_REPORT_EVERY = 5.0
_STOP_PATIENCE = 3.0


class Watch:
    """What tells a relay whether it may go on.

    Args:
        using: alias of the outbox's database.
        leases: its leases.
        sender: the class that sends the signals.
    """

    def __init__(self, using: str, leases: Leases, sender: type) -> None:
        self.using = using
        self.leases = leases
        self.stopping = Flag()
        self._sender = sender

    def holds(self) -> bool:
        """Renew the leases if it is time; False, and nothing is ours any more, if they are lost."""
        if not self._still_leading():
            self.say(
                "our leases have run out; what was under way is read again by their next owner"
            )
            self.leases.lose()
        return bool(self.leases.shards)

    def await_answers(self, producer: EventProducer) -> bool:
        """Wait until nothing is under way; False if we lost our leases meanwhile."""
        waited = 0.0
        while producer.flush(_SLICE):
            waited += _SLICE
            self.bear(producer, waited)
            if not self.holds():
                return False
        return True

    def bear(self, producer: EventProducer, waited: float) -> None:
        """Bear with a producer whose answers are late: report it, and end it when we stop.

        Args:
            producer: what was handed over to it is not answered.
            waited: seconds since its last answer; called about five times in each.

        Raises:
            AuthenticationFailed: Kafka does not accept our credentials.
        """
        if waited % _REPORT_EVERY < _SLICE <= waited:
            reason = producer.last_error or BrokerUnavailable(settings.broker)
            self.say(f"{reason} Events wait in the outbox; nothing is lost.")
        if isinstance(producer.last_error, AuthenticationFailed):
            raise producer.last_error
        if self.stopping.is_set() and waited > _STOP_PATIENCE:
            producer.abandon()

    def require_passing(self, error: Exception) -> None:
        """Let an error pass that waiting cures; raise any other, with its cure if it is ours."""
        if is_outage(error) or is_contention(error):
            return
        if OutboxQueue._meta.db_table not in connections[self.using].introspection.table_names():
            raise ConfigurationError(
                f"The outbox's tables are not in database {self.using!r}. Run 'manage.py migrate "
                f"--database {self.using}'."
            ) from error
        raise error

    def wait(self, reason: str, seconds: float | None = None) -> None:
        """Say why we wait, and do so, for a second if nothing is said, or until we are stopped."""
        self.say(reason)
        self.stopping.wait(self.bounded(_OUTAGE_PAUSE) if seconds is None else seconds)

    def bounded(self, seconds: float) -> float:
        """Return how long a wait for something that is away may take: a sixth of a lease at most.

        Two such waits may follow each other, and the leases must be renewed in time after them.
        """
        return min(seconds, self.leases.seconds / 6)

    def say(self, reason: str) -> None:
        """Tell whoever listens why we wait."""
        relay_waiting.send(self._sender, reason=reason)

    def _still_leading(self) -> bool:
        if not self.leases.due():
            return True
        try:
            return self.leases.renew()
        except DATABASE_ERRORS as error:
            self.require_passing(error)
            log.warning("The leases cannot be renewed now: %s", error)
            close_stale_connections()
            return self.leases.valid()
