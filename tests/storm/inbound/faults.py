"""Makes things go wrong with consumers, as the plan says."""

from __future__ import annotations

import time
from collections.abc import Callable
from signal import SIGKILL, SIGTERM

from ..crew import Crew, Member
from ..stage import Stage
from ..strikes import chosen, freeze, on_services
from ..tracks import Fault, Kind, Service
from ..voice import say
from .plan import Process

_ECHO = 15.0


class Faults:
    """Carries faults out.

    Args:
        stage: the services and the database.
        consumers: the consumers that are always there.
    """

    def __init__(self, stage: Stage, consumers: Crew) -> None:
        self._consumers = consumers
        self._calm_at = 0.0
        self._actions: dict[Kind, Callable[[Fault], None]] = {
            **on_services(stage),
            Process.CONSUMER_KILLED: lambda fault: self._consumer(fault).send(SIGKILL),
            Process.CONSUMER_FROZEN: lambda fault: freeze(self._consumer(fault), fault.seconds),
            Process.CONSUMER_STOPPED: lambda fault: self._consumer(fault).send(SIGTERM),
        }

    @property
    def away(self) -> bool:
        """Whether a service is away, or was until a moment ago."""
        return time.monotonic() < self._calm_at

    def carry_out(self, fault: Fault) -> None:
        """Let one fault happen, and wait until what it stopped is back."""
        if not isinstance(fault.kind, Service):
            self._actions[fault.kind](fault)
            return
        self._calm_at = float("inf")
        self._actions[fault.kind](fault)
        self._calm_at = time.monotonic() + _ECHO

    def _consumer(self, fault: Fault) -> Member:
        member = chosen(self._consumers, fault.lot)
        say(f"it strikes {member.name}, process {member.pid}")
        return member
