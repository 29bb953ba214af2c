"""Chooses what goes next, and writes it down before it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from django.db import transaction

from ..models import OutboxManifest
from .batch import Batch, record
from .gate import TopicGate
from .load import Load, load
from .manifests import manifest_of, next_batch, rows_of
from .precheck import Precheck
from .probation import Probation
from .scan import QueueRow, read, waiting
from .tenure import Stage, Tenure
from .tenures import Tenures

# All shards' batches are in memory at once.
_BATCH_BYTES = 2 * 1024 * 1024


class Announcer:
    """Gives each shard that is ready its next load, with a manifest that names it.

    Args:
        tenures: the shards held.
        batch_size: events of one shard in one Kafka transaction, at most.
        gate: which topics can be written to.
        probation: what is done about shards whose owners died.
        tell: is told of loads of which nothing was sent, because Kafka had rejected them.
    """

    def __init__(
        self,
        tenures: Tenures,
        batch_size: int,
        gate: TopicGate,
        probation: Probation,
        tell: Callable[[Tenure, Load], None],
    ) -> None:
        self._tenures = tenures
        self._using = tenures.using
        self._batch_size = batch_size
        self._gate = gate
        self._precheck = Precheck(gate)
        self._probation = probation
        self._tell = tell

    def announce(self) -> None:
        """Find what goes next in each shard that is ready, and commit the manifests.

        Raises:
            BrokerUnavailable: Kafka does not answer whether a topic is there.
            AuthenticationFailed: Kafka does not accept our credentials.
        """
        ready = self._probation.turn(self._tenures.at(Stage.READY))
        if not ready:
            return
        self._gate.reopen()
        fresh = [tenure for tenure in ready if not self._has_rows_to_send_again(tenure)]
        shards = [tenure.shard for tenure in fresh]
        busy = set(waiting(self._using, shards, self._gate.closed())) if shards else set()
        self._probation.acquit([t for t in fresh if t.shard not in busy])
        loads = {t.shard: self._next_load(t) for t in fresh if t.shard in busy}
        written = self._write([t for t in fresh if t.shard in loads and loads[t.shard].rows], loads)
        rest = [tenure for tenure in fresh if tenure not in written]
        for tenure in rest:
            if tenure.shard in loads and loads[tenure.shard].refused:
                self._hold(tenure, loads[tenure.shard])
        self._close(rest)

    def _write(self, tenures: Sequence[Tenure], loads: dict[int, Load]) -> Sequence[Tenure]:
        if not tenures:
            return ()
        manifests = {t.shard: _next_manifest(t, loads[t.shard]) for t in tenures}
        with transaction.atomic(using=self._using):
            owned = self._tenures.locked(tenures)
            announced = [manifests[tenure.shard] for tenure in owned]
            OutboxManifest.objects.using(self._using).announce(announced)
            self._probation.mark(owned, loads)
        self._tenures.keep(tenures, owned)
        for tenure in owned:
            tenure.manifest, tenure.load = manifests[tenure.shard], loads[tenure.shard]
            tenure.tried = [row.position for row in tenure.load.rows] if tenure.on_trial else []
        return tenures

    def _has_rows_to_send_again(self, tenure: Tenure) -> bool:
        """Fetch what a manifest names; False if it cannot be sent as it was.

        Its transaction was not committed and never will be, so what of it is still to be sent may
        as well go in the next batch.
        """
        manifest = tenure.manifest
        if manifest is None or manifest.settled or manifest.batch == tenure.dropped:
            return False
        rows = [] if tenure.on_trial else rows_of(self._using, manifest)
        complete = [row.position for row in rows] == manifest.positions
        if complete and not any(row.is_held for row in rows) and self._all_open(rows):
            tenure.load = Load(rows)
            return True
        tenure.dropped = manifest.batch
        return False

    def _all_open(self, rows: Iterable[QueueRow]) -> bool:
        return all(self._gate.lets_through(topic) for topic in {row.topic for row in rows})

    def _next_load(self, tenure: Tenure) -> Load:
        closed = self._gate.closed()
        limit = tenure.number if tenure.on_trial else self._batch_size
        known = read(self._using, [tenure.shard], limit, closed, _BATCH_BYTES)
        rows = [row for row in known if self._gate.lets_through(row.topic)]
        if tenure.one_topic:
            rows = [row for row in rows if row.topic == rows[0].topic]
        rows = list(self._probation.narrow(tenure, rows))
        found = load(rows, self._precheck.refusals(rows) | tenure.refusals)
        return self._probation.verdict(tenure, found)

    def _close(self, tenures: Iterable[Tenure]) -> None:
        """Close the manifests of batches that were dropped and that no other takes the place of."""
        left = [t for t in tenures if t.manifest is not None and not t.manifest.settled]
        if not left:
            return
        with transaction.atomic(using=self._using):
            owned = self._tenures.locked(left)
            dropped = [(t.shard, t.manifest.batch) for t in owned if t.manifest is not None]
            OutboxManifest.objects.using(self._using).settle(dropped)
        for tenure in owned:
            if tenure.manifest is not None:
                tenure.manifest.settled = True

    def _hold(self, tenure: Tenure, refused: Load) -> None:
        """Hold the keys of rejected events before which nothing is to be sent."""
        with transaction.atomic(using=self._using):
            if self._tenures.locked([tenure]):
                record(self._using, refused.outcome(Batch([])), [tenure.shard])
        self._tell(tenure, refused)


def _next_manifest(tenure: Tenure, next_load: Load) -> OutboxManifest:
    batch = next_batch(tenure.manifest, tenure.progress)
    return manifest_of(tenure.shard, batch, tenure.progress or 0, next_load.rows)
