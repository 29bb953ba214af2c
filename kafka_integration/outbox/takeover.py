"""Takes shards over: fences whoever published them before, and settles their last batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from django.db import transaction

from ..broker.progress import ProgressTopic
from ..errors import BrokerError, BrokerUnavailable
from ..models import OutboxManifest
from ..signals import batch_relayed
from .gate import TopicGate
from .manifests import Verdict, record_out, settlement
from .scan import waiting
from .tenure import Stage, Tenure
from .tenures import Tenures


class Takeover:
    """Brings tenures from new to ready.

    Args:
        tenures: the shards held.
        pool: where what waits for Kafka runs.
        gate: which topics can be written to.
        check_cluster: raises if this is not the Kafka that we send to.
        say: is told why something has to wait.
    """

    def __init__(
        self,
        tenures: Tenures,
        pool: Executor,
        gate: TopicGate,
        check_cluster: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._tenures = tenures
        self._using = tenures.using
        self._pool = pool
        self._gate = gate
        self._check_cluster = check_cluster
        self._say = say
        self._reading: tuple[Future[dict[str, int] | None], list[Tenure]] | None = None
        self._topic: ProgressTopic | None = None

    def jobs(self) -> list[Future[dict[str, int] | None]]:
        """Return what runs for several tenures together."""
        return [self._reading[0]] if self._reading else []

    def discard(self) -> None:
        """Forget what runs."""
        self._reading = None

    def begin(self) -> None:
        """Open producers for shards that have work, and read progress for those opened.

        An idle producer costs memory and connections. Whoever is fenced must not fence the other
        in turn unless it is in the right, so the leases are looked at before.
        """
        new = [tenure for tenure in self._tenures.at(Stage.NEW) if tenure.due()]
        idle = [tenure.shard for tenure in new if not tenure.needed]
        busy = set(waiting(self._using, idle, self._gate.closed())) if idle else set()
        wanted = [tenure for tenure in new if tenure.needed or tenure.shard in busy]
        if wanted:
            self._check_cluster()
        for tenure in self._tenures.still_owned(wanted):
            tenure.narrowest = self._gate.narrowest
            tenure.enter(Stage.OPENING, self._pool.submit(tenure.open))
        opened = self._tenures.at(Stage.OPENED)
        if opened and self._reading is None and not self._tenures.at(Stage.OPENING):
            self._reading = self._pool.submit(self._read_progress, opened[0].proceed), opened

    def collect(self) -> int:
        """Take the results of what has ended; return how many events are found to be out.

        Raises:
            BatchInDoubt: database and Kafka do not agree about a batch; someone must decide.
            BrokerError: Kafka refuses what waiting does not cure.
        """
        for tenure in self._tenures.at(Stage.OPENING):
            self._take_opened(tenure)
        return self._settle_last_batches()

    def _read_progress(self, proceed: Callable[[], bool]) -> dict[str, int] | None:
        if self._topic is None:
            topic = ProgressTopic()
            topic.check()
            self._topic = topic
        return self._topic.read(proceed)

    def _take_opened(self, tenure: Tenure) -> None:
        if tenure.job is None or not tenure.job.done():
            return
        try:
            opened = tenure.job.result()
        except BrokerError as error:
            tenure.fail(error, self._say)
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
        tenures = [tenure for tenure in tenures if tenure in self._tenures]
        return 0 if found is None else self._settle(tenures, found)

    def _settle(self, tenures: Sequence[Tenure], progress: dict[str, int]) -> int:
        recorded = 0
        with transaction.atomic(using=self._using):
            owned = self._tenures.locked(tenures)
            shards = [tenure.shard for tenure in owned]
            found = OutboxManifest.objects.using(self._using).of(shards).in_bulk()
            for tenure in owned:
                manifest = found.get(tenure.shard)
                verdict = settlement(manifest, progress.get(tenure.transactional_id))
                if manifest and verdict is Verdict.OUT:
                    recorded += record_out(self._using, manifest)
                    manifest.settled = True
        self._tenures.keep(tenures, owned)
        for tenure in owned:
            tenure.manifest = found.get(tenure.shard)
            tenure.progress = progress.get(tenure.transactional_id)
            tenure.enter(Stage.READY)
        if recorded:
            batch_relayed.send(type(self), published=recorded, held=0, seconds=0.0)
        return recorded
