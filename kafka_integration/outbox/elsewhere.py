"""What waits in the shards of other relays, and whether they get on with it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..errors import OutboxBusy
from ..models import OutboxLease, OutboxQueue
from .leases import host_and_process


class Elsewhere:
    """Watches the shards that are not ours.

    Args:
        using: alias of the outbox's database.
        patience: seconds for which the first event there may be the same one.
    """

    def __init__(self, using: str, patience: float) -> None:
        self._using = using
        self._patience = patience
        self._first: int | None = None
        self._since = 0.0

    def is_empty(self, ours: Iterable[int], closed: Iterable[str]) -> bool:
        """Tell whether nothing is left there that could be sent now.

        Args:
            ours: the shards that we hold.
            closed: topics that are left alone.

        Raises:
            OutboxBusy: whoever holds the first event's shard does not send it.
        """
        first = self._look(list(ours), list(closed))
        if first is None:
            return True
        position, shard = first
        if position != self._first:
            self._first, self._since = position, time.monotonic()
        if time.monotonic() - self._since > self._patience:
            raise OutboxBusy(self._holder(shard))
        return False

    def _look(self, ours: list[int], closed: list[str]) -> tuple[int, int] | None:
        queue = OutboxQueue.objects.using(self._using).exclude(shard__in=ours).sendable()
        queue = queue.outside(closed) if closed else queue
        return queue.values_list("position", "shard").first()

    def _holder(self, shard: int) -> str:
        leases = OutboxLease.objects.using(self._using).taken().filter(shard=shard)
        return host_and_process(leases.values_list("owner", flat=True).first() or "")
