"""Publishes each event once: every batch is a Kafka transaction, and a manifest tells which.

The road of a batch: its manifest is committed in the database, its events and its number are
committed in Kafka, and then the database records that it is out. Wherever a relay dies on that
road, the next one learns from Kafka whether the batch was committed, and goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from django.db import connections

from ..errors import ConfigurationError
from .announcer import Announcer
from .batch import Batch
from .gate import TopicGate
from .leases import Leases
from .outcomes import Outcomes
from .takeover import Takeover
from .tenure import Attempt, Stage
from .tenures import Tenures

_SLICE = 0.2
_REPORT_SECONDS = 5.0
# One for each shard, and one that reads progress.
_THREADS = 17


class Transactions:
    """The exactly-once engine of a relay, on PostgreSQL and Kafka 4.

    Args:
        using: alias of the outbox's database.
        leases: which shards are ours.
        batch_size: events of one shard in one Kafka transaction, at most.
        gate: which topics can be written to.
        hold_on: renews the leases when it is time; False if they are lost.
        say: is told why something has to wait.

    Raises:
        ConfigurationError: the database is not PostgreSQL.
    """

    def __init__(
        self,
        using: str,
        leases: Leases,
        batch_size: int,
        gate: TopicGate,
        hold_on: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        if connections[using].vendor != "postgresql":
            raise ConfigurationError(
                f"Exactly-once publishing needs PostgreSQL, and database {using!r} is "
                f"{connections[using].vendor}. Set KAFKA_RELAY_EXACTLY_ONCE to false: events may "
                "then be published more than once, and consumers tell by their ids."
            )
        self._hold_on = hold_on
        self._say = say
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="exactly-once")
        self._pool = pool
        self._tenures = Tenures(using, leases)
        self._takeover = Takeover(self._tenures, pool, gate, say)
        self._outcomes = Outcomes(self._tenures, gate, say)
        self._announcer = Announcer(self._tenures, batch_size, gate, self._outcomes.tell)

    def advance(self) -> int:
        """Do one round for the shards held; return how many events are recorded as out.

        It waits for Kafka a fifth of a second at most: what takes longer is met again next time.

        Raises:
            BatchInDoubt: database and Kafka do not agree about a batch; someone must decide.
            BrokerError: Kafka refuses what waiting does not cure.
            ConfigurationError: Kafka is too old, or the progress topic is not compacted.
        """
        self._tenures.keep_to_leases()
        self._takeover.begin()
        self._announcer.announce()
        # Between here and the last look at the leases there was nothing but the database.
        if not self._still_leading():
            return 0
        self._publish()
        return self._wait() and self._collect()

    def settle(self) -> bool:
        """Finish what is under way and begin nothing; True if nothing is under way."""
        if self._wait():
            self._collect()
        return not self._tenures.at(Stage.SENDING)

    def discard(self) -> None:
        """Throw everything away at once; what was under way is settled by the next owner."""
        self._tenures.drop_all()
        self._takeover.discard()

    def _publish(self) -> None:
        for tenure in self._tenures.at(Stage.READY):
            if tenure.load and tenure.manifest and not tenure.manifest.settled:
                attempt = Attempt(tenure.manifest, tenure.load, Batch(tenure.load.rows))
                tenure.load = None
                tenure.enter(Stage.SENDING, self._pool.submit(tenure.publish, attempt))

    def _collect(self) -> int:
        return self._takeover.collect() + self._outcomes.collect()

    def _still_leading(self) -> bool:
        if self._hold_on():
            return True
        self.discard()
        return False

    def _wait(self) -> bool:
        """Wait a moment for whatever is under way; False if nothing is, or the leases are lost."""
        jobs = [*self._tenures.jobs(), *self._takeover.jobs()]
        if jobs:
            wait(jobs, _SLICE, FIRST_COMPLETED)
        if not self._still_leading():
            return False
        self._report_outage()
        return bool(jobs)

    def _report_outage(self) -> None:
        late = time.monotonic() - _REPORT_SECONDS
        for tenure in self._tenures:
            if tenure.job and tenure.since < late and tenure.last_error:
                self._say(f"{tenure.last_error} Events wait in the outbox; nothing is lost.")
                return
