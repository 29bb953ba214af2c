"""Publishes each event once: every batch is a Kafka transaction, and a manifest tells which.

The road of a batch: its manifest is committed in the database, its events and its number are
committed in Kafka, and then the database records that it is out. Wherever a relay dies on that
road, the next one learns from Kafka whether the batch was committed, and goes on from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.db import connections, transaction

from ..broker.progress import ProgressTopic
from ..errors import (
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    ProducerFailed,
    TopicRefused,
    TransactionFailed,
)
from ..models import OutboxManifest
from ..signals import batch_relayed, event_held
from .batch import Batch, record
from .gate import TopicGate
from .leases import Leases
from .load import Load, load
from .manifests import Verdict, manifest_of, next_batch, record_out, rows_of, settlement
from .scan import QueueRow, read, waiting
from .tenure import Attempt, Stage, Tenure

log = logging.getLogger(__name__)

_SLICE = 0.2
_REPORT_SECONDS = 5.0
# All shards' batches are in memory at once.
_BATCH_BYTES = 2 * 1024 * 1024
_THREADS = 17
_PASSING = (BrokerUnavailable, ProducerFailed, TransactionFailed)


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
        self.using = using
        self.batch_size = batch_size
        self._leases = leases
        self._gate = gate
        self._hold_on = hold_on
        self._say = say
        self._tenures: dict[int, Tenure] = {}
        self._reading: tuple[Future[dict[str, int] | None], list[Tenure]] | None = None
        self._topic: ProgressTopic | None = None
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="exactly-once")

    def advance(self) -> int:
        """Do one round for the shards held; return how many events are recorded as out.

        It waits for Kafka a fifth of a second at most: what takes longer is met again next time.

        Raises:
            BatchInDoubt: database and Kafka do not agree about a batch; someone must decide.
            BrokerError: Kafka refuses what waiting does not cure.
            ConfigurationError: Kafka is too old, or the progress topic is not compacted.
        """
        self._keep_to_leases()
        self._open()
        self._begin()
        return self._wait() and self._collect()

    def settle(self) -> bool:
        """Finish what is under way and begin nothing; True if nothing is under way."""
        if self._wait():
            self._collect()
        return not self._in(Stage.SENDING)

    def discard(self) -> None:
        """Throw everything away at once; what was under way is settled by the next owner."""
        for tenure in self._tenures.values():
            tenure.withdraw()
        self._tenures = {}
        self._reading = None

    def _in(self, stage: Stage) -> list[Tenure]:
        return [tenure for tenure in self._tenures.values() if tenure.stage is stage]

    def _keep_to_leases(self) -> None:
        """Drop the shards that are not ours any more, and take in those that are new."""
        held = {shard: self._leases.epoch_of(shard) for shard in self._leases.shards}
        for shard, tenure in list(self._tenures.items()):
            if held.get(shard) != tenure.epoch:
                self._drop(tenure)
        new = [shard for shard in held if shard not in self._tenures]
        if not new:
            return
        manifests = OutboxManifest.objects.using(self.using).of(new).unsettled()
        unsettled = set(manifests.values_list("shard", flat=True))
        for shard in new:
            tenure = Tenure(self.using, shard, held[shard], self._leases.valid)
            tenure.needed = shard in unsettled
            self._tenures[shard] = tenure

    def _drop(self, tenure: Tenure) -> None:
        tenure.withdraw()
        self._tenures.pop(tenure.shard, None)

    def _open(self) -> None:
        """Make producers for shards that have work; an idle one costs memory and connections."""
        new = [tenure for tenure in self._in(Stage.NEW) if tenure.due()]
        idle = [tenure.shard for tenure in new if not tenure.needed]
        busy = set(waiting(self.using, idle, self._gate.closed())) if idle else set()
        wanted = [tenure for tenure in new if tenure.needed or tenure.shard in busy]
        for tenure in self._still_owned(wanted):
            tenure.enter(Stage.OPENING, self._pool.submit(tenure.open))
        opened = [tenure for tenure in self._in(Stage.OPENED) if tenure.job is None]
        if opened and self._reading is None and not self._in(Stage.OPENING):
            self._reading = self._pool.submit(self._read_progress, opened[0].proceed), opened

    def _still_owned(self, tenures: Sequence[Tenure]) -> list[Tenure]:
        """Return those that are ours still, and drop the others.

        Whoever is fenced must not fence the other in turn unless it is in the right.
        """
        if not tenures:
            return []
        with transaction.atomic(using=self.using):
            owned = self._owned(tenures)
        for tenure in tenures:
            if tenure not in owned:
                self._drop(tenure)
        return owned

    def _read_progress(self, proceed: Callable[[], bool]) -> dict[str, int] | None:
        if self._topic is None:
            topic = ProgressTopic()
            topic.check()
            self._topic = topic
        return self._topic.read(proceed)

    def _begin(self) -> None:
        """Begin a Kafka transaction for each shard that has events and none under way."""
        ready = self._in(Stage.READY)
        if not ready:
            return
        self._gate.reopen()
        fresh = [tenure for tenure in ready if not self._has_rows_to_send_again(tenure)]
        self._announce(fresh)
        # Between here and the last look at the leases there was nothing but the database.
        if not self._hold_on():
            self.discard()
            return
        for tenure in self._in(Stage.READY):
            if tenure.load and tenure.manifest and not tenure.manifest.settled:
                attempt = Attempt(tenure.manifest, tenure.load, Batch(tenure.load.rows))
                tenure.load = None
                tenure.enter(Stage.SENDING, self._pool.submit(tenure.publish, attempt))

    def _has_rows_to_send_again(self, tenure: Tenure) -> bool:
        """Fetch what a manifest names; False if it cannot be sent as it was.

        Its transaction was not committed and never will be, so what of it is still to be sent may
        as well go in the next batch.
        """
        manifest = tenure.manifest
        if manifest is None or manifest.settled or manifest.batch == tenure.dropped:
            return False
        rows = rows_of(self.using, manifest)
        complete = [row.position for row in rows] == manifest.positions
        if complete and not any(row.is_held for row in rows) and self._all_open(rows):
            tenure.load = Load(rows)
            return True
        tenure.dropped = manifest.batch
        return False

    def _all_open(self, rows: Iterable[QueueRow]) -> bool:
        return all(self._gate.lets_through(topic) for topic in {row.topic for row in rows})

    def _announce(self, tenures: Sequence[Tenure]) -> None:
        """Read the next rows of some shards, and commit the manifests that name them."""
        shards = [tenure.shard for tenure in tenures]
        busy = set(waiting(self.using, shards, self._gate.closed())) if shards else set()
        loads = {t.shard: self._next_load(t) for t in tenures if t.shard in busy}
        written = {
            tenure.shard: _next_manifest(tenure, loads[tenure.shard])
            for tenure in tenures
            if tenure.shard in loads and loads[tenure.shard].rows
        }
        only_refused = [
            tenure
            for tenure in tenures
            if tenure.shard in loads
            and not loads[tenure.shard].rows
            and loads[tenure.shard].refused
        ]
        if written:
            with transaction.atomic(using=self.using):
                owned = self._owned(tenure for tenure in tenures if tenure.shard in written)
                announced = [written[tenure.shard] for tenure in owned]
                OutboxManifest.objects.using(self.using).announce(announced)
            for tenure in owned:
                tenure.manifest, tenure.load = written[tenure.shard], loads[tenure.shard]
        for tenure in only_refused:
            self._hold(tenure, loads[tenure.shard])
        self._close([tenure for tenure in tenures if tenure.shard not in written])

    def _next_load(self, tenure: Tenure) -> Load:
        closed = self._gate.closed()
        found = read(self.using, [tenure.shard], self.batch_size, closed, _BATCH_BYTES)
        rows = [row for row in found if self._gate.lets_through(row.topic)]
        if tenure.one_topic:
            rows = [row for row in rows if row.topic == rows[0].topic]
        return load(rows, tenure.refusals)

    def _close(self, tenures: Iterable[Tenure]) -> None:
        """Close the manifests of batches that were dropped and that no other takes the place of."""
        left = [t for t in tenures if t.manifest is not None and not t.manifest.settled]
        if not left:
            return
        with transaction.atomic(using=self.using):
            owned = self._owned(left)
            dropped = [(t.shard, t.manifest.batch) for t in owned if t.manifest is not None]
            OutboxManifest.objects.using(self.using).settle(dropped)
        for tenure in owned:
            if tenure.manifest is not None:
                tenure.manifest.settled = True

    def _hold(self, tenure: Tenure, refused: Load) -> None:
        """Hold the keys of rejected events before which nothing is to be sent."""
        with transaction.atomic(using=self.using):
            if self._owned([tenure]):
                record(self.using, refused.outcome(Batch([])), [tenure.shard])
        self._tell(tenure, 0, refused)

    def _owned(self, tenures: Iterable[Tenure]) -> list[Tenure]:
        """Return those whose lease is ours, under the epoch it had, until the transaction ends."""
        mine = set(self._leases.lock())
        return [
            tenure
            for tenure in tenures
            if tenure.shard in mine and tenure.epoch == self._leases.epoch_of(tenure.shard)
        ]

    def _wait(self) -> bool:
        """Wait a moment for whatever is under way; False if nothing is, or the leases are lost."""
        jobs = [tenure.job for tenure in self._tenures.values() if tenure.job]
        jobs += [self._reading[0]] if self._reading else []
        if jobs:
            wait(jobs, _SLICE, FIRST_COMPLETED)
        if not self._hold_on():
            self.discard()
            return False
        self._report_outage()
        return bool(jobs)

    def _report_outage(self) -> None:
        late = time.monotonic() - _REPORT_SECONDS
        for tenure in self._tenures.values():
            if tenure.job and tenure.since < late and tenure.last_error:
                self._say(f"{tenure.last_error} Events wait in the outbox; nothing is lost.")
                return

    def _collect(self) -> int:
        """Take the results of what has ended; return how many events are recorded as out."""
        for tenure in self._in(Stage.OPENING):
            self._take_opened(tenure)
        recorded = self._settle_last_batches()
        done = [t for t in self._in(Stage.SENDING) if t.job and t.job.done()]
        recorded += self._record([tenure for tenure in done if self._is_committed(tenure)])
        for tenure in done:
            if tenure.stage is Stage.SENDING and not self._is_committed(tenure):
                self._take_failure(tenure)
        return recorded

    def _take_opened(self, tenure: Tenure) -> None:
        if tenure.job is None or not tenure.job.done():
            return
        try:
            opened = tenure.job.result()
        except BrokerError as error:
            self._begin_anew(tenure, error)
            return
        if opened:
            tenure.enter(Stage.OPENED)
        else:
            tenure.reopen()

    def _settle_last_batches(self) -> int:
        """Decide about the last batch of each shard that was just opened.

        The leases are looked at again: the last one to initialise fences all others, and that may
        be a relay that was paused until its lease had gone to another.
        """
        if self._reading is None or not self._reading[0].done():
            return 0
        job, tenures = self._reading
        self._reading = None
        try:
            found = job.result()
        except BrokerUnavailable as error:
            self._say(str(error))
            return 0  # they are opened still, and it is read again
        tenures = [tenure for tenure in tenures if self._tenures.get(tenure.shard) is tenure]
        return 0 if found is None else self._settle(tenures, found)

    def _settle(self, tenures: Sequence[Tenure], progress: dict[str, int]) -> int:
        recorded = 0
        with transaction.atomic(using=self.using):
            owned = self._owned(tenures)
            shards = [tenure.shard for tenure in owned]
            found = OutboxManifest.objects.using(self.using).of(shards).in_bulk()
            for tenure in owned:
                manifest = found.get(tenure.shard)
                verdict = settlement(manifest, progress.get(tenure.transactional_id))
                if manifest and verdict is Verdict.OUT:
                    recorded += record_out(self.using, manifest)
                    manifest.settled = True
        for tenure in tenures:
            if tenure not in owned:
                self._drop(tenure)
                continue
            tenure.manifest = found.get(tenure.shard)
            tenure.progress = progress.get(tenure.transactional_id)
            tenure.enter(Stage.READY)
        if recorded:
            batch_relayed.send(type(self), published=recorded, held=0, seconds=0.0)
        return recorded

    def _is_committed(self, tenure: Tenure) -> bool:
        job = tenure.job
        if job is None or job.exception() is not None:
            return False
        attempt: Attempt = job.result()
        return attempt.committed and not attempt.batch.unsent()

    def _record(self, tenures: Sequence[Tenure]) -> int:
        """Record what Kafka committed, in one transaction; if that fails, it is done next time."""
        if not tenures:
            return 0
        attempts: dict[int, Attempt] = {t.shard: t.job.result() for t in tenures if t.job}
        manifests = OutboxManifest.objects.using(self.using)
        with transaction.atomic(using=self.using):
            owned = self._owned(tenures)
            batches = [(t.shard, attempts[t.shard].manifest.batch) for t in owned]
            new = manifests.settle(batches)
            for shard in new:
                attempt = attempts[shard]
                record(self.using, attempt.load.outcome(attempt.batch), [shard])
        for tenure in tenures:
            if tenure not in owned:
                self._drop(tenure)
                continue
            tenure.manifest = attempts[tenure.shard].manifest
            tenure.manifest.settled, tenure.progress = True, tenure.manifest.batch
            tenure.refusals = {}
            self._tell(tenure, len(tenure.manifest.positions), attempts[tenure.shard].load)
            tenure.went_well()
        return sum(len(attempts[tenure.shard].manifest.positions) for tenure in owned)

    def _take_failure(self, tenure: Tenure) -> None:
        """See what kept a batch from being committed, and begin anew with the shard."""
        job = tenure.job
        if job is None:
            return
        error = job.exception()
        if error is not None:
            tenure.reopen()
            raise error
        attempt: Attempt = job.result()
        batch = attempt.batch
        if batch.rejected():
            self._search_rejected(tenure, attempt)
        elif batch.closed_topics():
            for topic, cause in batch.closed_topics().items():
                self._gate.close(topic, cause)
            tenure.reopen()
        elif isinstance(attempt.error, TopicRefused):
            self._search_refused_topic(tenure, attempt)
        else:
            self._begin_anew(tenure, attempt.error or batch.other_failure())

    def _search_rejected(self, tenure: Tenure, attempt: Attempt) -> None:
        """Note the rejected events, if each travelled alone; else send the same batch so."""
        if tenure.singly:
            tenure.refusals |= {row.position: error for row, error in attempt.batch.rejected()}
            tenure.dropped = attempt.manifest.batch
        tenure.send_singly()
        tenure.reopen(at_once=True)

    def _search_refused_topic(self, tenure: Tenure, attempt: Attempt) -> None:
        """Close the topic that we may not write to; Kafka says only that there is one."""
        topics = {row.topic for row in attempt.batch.rows}
        if len(topics) == 1 and isinstance(attempt.error, TopicRefused):
            [topic] = topics
            self._gate.close(topic, TopicRefused(topic, attempt.error.broker))
        tenure.one_topic = True
        tenure.dropped = attempt.manifest.batch
        tenure.reopen(at_once=True)

    def _begin_anew(self, tenure: Tenure, error: BrokerError | None) -> None:
        tenure.reopen()
        if error is not None and not isinstance(error, _PASSING):
            raise error
        if error is not None:
            self._say(str(error))

    def _tell(self, tenure: Tenure, published: int, done: Load) -> None:
        for row, error in done.refused:
            log.error("Event %s is held back: %s", row.event_id, error)
            event_held.send(
                type(self),
                event_id=row.event_id,
                topic=row.topic,
                key_hash=row.key_hash,
                reason=str(error),
            )
        batch_relayed.send(
            type(self),
            published=published,
            held=len(done.refused),
            seconds=time.monotonic() - tenure.since,
        )


def _next_manifest(tenure: Tenure, next_load: Load) -> OutboxManifest:
    batch = next_batch(tenure.manifest, tenure.progress)
    return manifest_of(tenure.shard, batch, tenure.progress or 0, next_load.rows)
