"""Makes things go wrong with services, and with processes of a crew."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIGCONT, SIGKILL, SIGQUIT, SIGSTOP, Signals

from .crew import Crew, Member
from .stage import Stage
from .tracks import Fault, Kind, Service


def on_services(stage: Stage) -> dict[Kind, Callable[[Fault], None]]:
    """Return what is done for each kind; each waits until what it stopped is back."""

    def restart(service: str, signum: Signals | None) -> Callable[[Fault], None]:
        return lambda fault: _restart(stage, service, fault, signum)

    return {
        Service.KAFKA_KILLED: restart("kafka", SIGKILL),
        Service.KAFKA_RESTARTED: restart("kafka", None),
        Service.KAFKA_FROZEN: lambda fault: _freeze_kafka(stage, fault),
        Service.POSTGRES_FAST: restart("postgres", None),
        Service.POSTGRES_IMMEDIATE: restart("postgres", SIGQUIT),
    }


def heal(stage: Stage, *crews: Crew) -> None:
    """Let whatever is still frozen go on, and start what is still down."""
    for name in ("kafka", "postgres"):
        if name in stage.services.running():
            stage.services.signal(name, SIGCONT)
        else:
            stage.services.start(name)
    for crew in crews:
        for member in crew.members:
            member.send(SIGCONT)


@contextmanager
def frozen_kafka(stage: Stage) -> Iterator[None]:
    """Freeze the broker with its connections for the length of the block."""
    stage.services.signal("kafka", SIGSTOP)
    try:
        yield
    finally:
        stage.services.signal("kafka", SIGCONT)


def freeze(member: Member, seconds: float) -> None:
    """Freeze a process for a while."""
    member.send(SIGSTOP)
    time.sleep(seconds)
    member.send(SIGCONT)


def chosen(crew: Crew, lot: int) -> Member:
    """Return one of the crew."""
    return crew.members[lot % len(crew.members)]


def _freeze_kafka(stage: Stage, fault: Fault) -> None:
    with frozen_kafka(stage):
        time.sleep(fault.seconds + 1.0)


def _restart(stage: Stage, service: str, fault: Fault, signum: Signals | None) -> None:
    """Stop a service, leave it away for a while, and start it."""
    stage.services.stop(service, signum)
    time.sleep(fault.seconds / 2)
    stage.services.start(service)
    stage.require_same_place()
