"""Takes the results of Kafka transactions: records what is out, and sees what kept the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from django.db import transaction

from ..errors import TopicRefused
from ..models import OutboxManifest
from ..signals import batch_relayed
from .batch import record
from .gate import TopicGate
from .load import Load
from .notices import tell_held
from .tenure import Attempt, Stage, Tenure
from .tenures import Tenures


class Outcomes:
    """Brings tenures from sending back to ready, or to a new producer.

    Args:
        tenures: the shards held.
        gate: which topics can be written to.
        say: is told why something has to wait.
    """

    def __init__(self, tenures: Tenures, gate: TopicGate, say: Callable[[str], None]) -> None:
        self._tenures = tenures
        self._using = tenures.using
        self._gate = gate
        self._say = say

    def collect(self) -> int:
        """Take the results of what has ended; return how many events are recorded as out.

        Raises:
            BrokerError: Kafka refuses what waiting does not cure.
        """
        done = [t for t in self._tenures.at(Stage.SENDING) if t.job and t.job.done()]
        recorded = self._record([tenure for tenure in done if _is_committed(tenure)])
        for tenure in done:
            if tenure.stage is Stage.SENDING and not _is_committed(tenure):
                self._take_failure(tenure)
        return recorded

    def tell(self, tenure: Tenure, done: Load, published: int = 0) -> None:
        """Send the signals of a load that was recorded."""
        for row, error in done.refused:
            tell_held(type(self), self._using, row, str(error))
        batch_relayed.send(
            type(self),
            published=published,
            held=len(done.refused),
            seconds=time.monotonic() - tenure.since,
        )

    def _record(self, tenures: Sequence[Tenure]) -> int:
        """Record what Kafka committed, in one transaction; if that fails, it is done next time."""
        if not tenures:
            return 0
        attempts: dict[int, Attempt] = {t.shard: t.job.result() for t in tenures if t.job}
        manifests = OutboxManifest.objects.using(self._using)
        with transaction.atomic(using=self._using):
            owned = self._tenures.locked(tenures)
            batches = [(t.shard, attempts[t.shard].manifest.batch) for t in owned]
            new = manifests.settle(batches)
            for shard in new:
                attempt = attempts[shard]
                record(self._using, attempt.load.outcome(attempt.batch), [shard])
        self._tenures.keep(tenures, owned)
        self._tenures.clear(owned)
        for tenure in owned:
            tenure.manifest = attempts[tenure.shard].manifest
            tenure.manifest.settled, tenure.progress = True, tenure.manifest.batch
            tenure.refusals = {}
            self.tell(tenure, attempts[tenure.shard].load, len(tenure.manifest.positions))
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
            tenure.fail(attempt.error or batch.other_failure(), self._say)

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


def _is_committed(tenure: Tenure) -> bool:
    job = tenure.job
    if job is None or job.exception() is not None:
        return False
    attempt: Attempt = job.result()
    return attempt.committed and not attempt.batch.unsent()
