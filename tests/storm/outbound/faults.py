"""Makes things go wrong with relays, writers and leases, as the plan says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGKILL, SIGTERM

import psycopg

from ..crew import Crew, Member
from ..stage import Stage
from ..strikes import chosen, freeze, frozen_kafka, on_services
from ..tracks import Fault, Kind, Service
from ..voice import say
from .plan import Process

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
            **on_services(self.stage),
            Service.KAFKA_FROZEN: self._freeze_kafka,
            Process.RELAY_KILLED: lambda fault: self._relay(fault).send(SIGKILL),
            Process.RELAY_FROZEN: lambda fault: freeze(self._relay(fault), fault.seconds),
            Process.RELAY_STOPPED: lambda fault: self._relay(fault).send(SIGTERM),
            Process.WRITER_KILLED: lambda fault: chosen(self.writers, fault.lot).send(SIGKILL),
            Process.LEASE_TAMPERED: self._tamper,
        }
        actions[fault.kind](fault)

    def _freeze_kafka(self, fault: Fault) -> None:
        """Freeze the broker with its connections, and a relay too, so that another takes over."""
        relay = self._relay(fault)
        with frozen_kafka(self.stage):
            if fault.lot % 2:
                relay.send(SIGKILL)
                time.sleep(fault.seconds + 1.0)
            else:
                freeze(relay, fault.seconds + 1.0)

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
        member = chosen(Crew(holders) if holders else self.relays, fault.lot)
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
