"""Publishes each event once: every batch is a Kafka transaction, and a manifest tells which.

The road of a batch: its manifest is committed in the database, its events and its number are
committed in Kafka, and then the database records that it is out. Wherever a relay dies on that
road, the next one learns from Kafka whether the batch was committed, and goes on from there.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial

from django.db import connections

from ..errors import ConfigurationError
from .announcer import Announcer
from .batch import Batch
from .cluster import ClusterGuard
from .gate import TopicGate
from .outcomes import Outcomes
from .probation import Probation
from .scan import pending
from .takeover import Takeover
from .tenure import Attempt, Stage
from .tenures import Tenures
from .watch import Watch

_SLICE = 0.2
_REPORT_SECONDS = 5.0
_STOP_PATIENCE = 3.0
# One for each shard, and one that reads progress.
_THREADS = 17


class Transactions:
    """The exactly-once engine of a relay, on PostgreSQL and Kafka 4.

    Args:
        watch: tells whether we may go on.
        gate: knows which topics can be written to.
        cluster: knows which Kafka we send to.
        batch_size: events of one shard in one Kafka transaction, at most.

    Raises:
        ConfigurationError: the database is not PostgreSQL.
    """

    def __init__(
        self, watch: Watch, gate: TopicGate, cluster: ClusterGuard, batch_size: int
    ) -> None:
        using = watch.using
        if connections[using].vendor != "postgresql":
            raise ConfigurationError(
                f"Exactly-once publishing needs PostgreSQL, and database {using!r} is "
                f"{connections[using].vendor}. Set KAFKA_RELAY_EXACTLY_ONCE to false: events may "
                "then be published more than once, and consumers tell by their ids."
            )
        self.published = 0
        self._watch = watch
        self._gate = gate
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="exactly-once")
        self._pool = pool
        self._tenures = Tenures(using, watch.leases)
        self._takeover = Takeover(
            self._tenures, pool, gate, partial(cluster.check, gate.cluster_id), watch.say
        )
        self._outcomes = Outcomes(self._tenures, gate, watch.say)
        probation = Probation(self._tenures, watch.leases)
        self._announcer = Announcer(self._tenures, batch_size, gate, probation, self._outcomes.tell)

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
        return self._collect() if self._wait() else 0

    def begin(self) -> None:
        """Take note that the relay has shards that it did not have before."""
        self._tenures.keep_to_leases()

    def round(self) -> int:
        """Publish until a batch is out or nothing waits; return how many events went out."""
        out = self.advance()
        while not (out or self.is_empty() or self._watch.stopping.is_set()):
            if not self._watch.leases.shards:
                break
            out = self.advance()
        return out

    def look_again(self) -> None:
        """Take note that events were committed just now: it looks with every round anyway."""

    def settle(self) -> int:
        """Finish what is under way, and begin nothing; return how many events went out.

        When the relay is to stop, that may take three seconds.
        """
        before, deadline = self.published, math.inf
        while self._tenures.at(Stage.SENDING) and time.monotonic() < deadline:
            if self._watch.stopping.is_set():
                deadline = min(deadline, time.monotonic() + _STOP_PATIENCE)
            if not self._wait():
                break
            self._collect()
        return self.published - before

    def is_idle(self) -> bool:
        """Tell whether nothing is under way and nothing more was found."""
        busy = Stage.OPENING, Stage.OPENED, Stage.SENDING
        return not any(tenure.load or tenure.stage in busy for tenure in self._tenures)

    def is_empty(self) -> bool:
        """Tell whether nothing waits that could be sent now."""
        shards, closed = self._watch.leases.shards, self._gate.closed()
        return self.is_idle() and not pending(self._watch.using, shards, closed)

    def close(self) -> None:
        """End the threads; none of them uses the database."""
        self._pool.shutdown(wait=False, cancel_futures=True)

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
        out = self._takeover.collect() + self._outcomes.collect()
        self.published += out
        return out

    def _still_leading(self) -> bool:
        if self._watch.holds():
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
                self._watch.say(f"{tenure.last_error} Events wait in the outbox; nothing is lost.")
                return
