"""Makes things go wrong, as the plan says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGCONT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, Signals

import psycopg

from .crew import Crew, Member
from .plan import Fault, Kind
from .report import say
from .stage import Stage

# What is done to the row of one lease. Each heals by itself once the lease has run out.
_TAMPERINGS = {
    "another owner": "owner = 'storm:0:tampered', epoch = epoch + 1,"
    " expires_at = now() + interval '2 seconds'",
    "no owner": "owner = '', expires_at = NULL",
    "a higher epoch": "epoch = epoch + 7",
    "an expiry in the past": "expires_at = now() - interval '1 second'",
    "an expiry in some seconds": "expires_at = now() + interval '6 seconds'",
}
_TAMPER = """
UPDATE kafka_outbox_lease SET {} WHERE shard = (
    SELECT shard FROM kafka_outbox_lease ORDER BY shard
    OFFSET %(lot)s %% (SELECT greatest(count(*), 1) FROM kafka_outbox_lease) LIMIT 1
)
"""
_OWNERS = "SELECT DISTINCT owner FROM kafka_outbox_lease WHERE expires_at > now()"
_DATABASE_PATIENCE = 60.0


@dataclass
class Faults:
    """Carries faults out.

    Args:
        stage: the services and the database.
        relays: the relays.
        writers: the writers.
    """

    stage: Stage
    relays: Crew
    writers: Crew

    def carry_out(self, fault: Fault) -> None:
        """Let one fault happen, and wait until what it stopped is back."""
        actions: dict[Kind, Callable[[Fault], None]] = {
            Kind.KAFKA_KILLED: lambda fault: self._restart("kafka", fault, SIGKILL),
            Kind.KAFKA_RESTARTED: lambda fault: self._restart("kafka", fault, None),
            Kind.KAFKA_FROZEN: self._freeze_kafka,
            Kind.POSTGRES_FAST: lambda fault: self._restart("postgres", fault, None),
            Kind.POSTGRES_IMMEDIATE: lambda fault: self._restart("postgres", fault, SIGQUIT),
            Kind.RELAY_KILLED: lambda fault: self._relay(fault).send(SIGKILL),
            Kind.RELAY_FROZEN: lambda fault: _freeze(self._relay(fault), fault.seconds),
            Kind.RELAY_STOPPED: lambda fault: self._relay(fault).send(SIGTERM),
            Kind.WRITER_KILLED: lambda fault: _chosen(self.writers, fault.lot).send(SIGKILL),
            Kind.LEASE_TAMPERED: self._tamper,
        }
        actions[fault.kind](fault)

    def heal(self) -> None:
        """Let whatever is still frozen go on, and start what is still down."""
        for name in ("kafka", "postgres"):
            if name in self.stage.services.running():
                self.stage.services.signal(name, SIGCONT)
            else:
                self.stage.services.start(name)
        for member in [*self.relays.members, *self.writers.members]:
            member.send(SIGCONT)

    def _restart(self, service: str, fault: Fault, signum: Signals | None) -> None:
        """Stop a service, leave it away for a while, and start it."""
        self.stage.services.stop(service, signum)
        time.sleep(fault.seconds / 2)
        self.stage.services.start(service)
        self.stage.require_same_place()

    def _freeze_kafka(self, fault: Fault) -> None:
        """Freeze the broker with its connections, and a relay too, so that another takes over."""
        relay = self._relay(fault)
        self.stage.services.signal("kafka", SIGSTOP)
        try:
            if fault.lot % 2:
                relay.send(SIGKILL)
                time.sleep(fault.seconds + 1.0)
            else:
                _freeze(relay, fault.seconds + 1.0)
        finally:
            self.stage.services.signal("kafka", SIGCONT)

    def _tamper(self, fault: Fault) -> None:
        how = sorted(_TAMPERINGS)[fault.lot % len(_TAMPERINGS)]
        say(f"a lease gets {how}")
        deadline = time.monotonic() + _DATABASE_PATIENCE
        while True:
            try:
                with psycopg.connect(self.stage.database, connect_timeout=5) as connection:
                    connection.execute(_TAMPER.format(_TAMPERINGS[how]), {"lot": fault.lot})
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)  # the other track has stopped the database

    def _relay(self, fault: Fault) -> Member:
        """Return the relay to strike: one that holds leases, if the plan wants it and one does."""
        holders = self._holders() if fault.on_holder else []
        member = _chosen(Crew(holders) if holders else self.relays, fault.lot)
        say(f"it strikes {member.name}, process {member.pid}")
        return member

    def _holders(self) -> list[Member]:
        try:
            with psycopg.connect(self.stage.database, connect_timeout=2) as connection:
                owners = [str(owner) for (owner,) in connection.execute(_OWNERS)]
        except psycopg.OperationalError:
            return []
        parts = {part for owner in owners for part in owner.split(":")}
        return [member for member in self.relays.members if str(member.pid) in parts]


def _chosen(crew: Crew, lot: int) -> Member:
    return crew.members[lot % len(crew.members)]


def _freeze(member: Member, seconds: float) -> None:
    member.send(SIGSTOP)
    time.sleep(seconds)
    member.send(SIGCONT)
