"""The shards that an exactly-once relay holds, and a look at their leases when it counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from django.db import transaction

from ..models import OutboxManifest
from .leases import Leases
from .tenure import Stage, Tenure


class Tenures:
    """One tenure for each shard held.

    Args:
        using: alias of the outbox's database.
        leases: which shards are ours.
    """

    def __init__(self, using: str, leases: Leases) -> None:
        self.using = using
        self._leases = leases
        self._tenures: dict[int, Tenure] = {}

    def __iter__(self) -> Iterator[Tenure]:
        return iter(list(self._tenures.values()))

    def __contains__(self, tenure: object) -> bool:
        return any(tenure is known for known in self._tenures.values())

    def at(self, stage: Stage) -> list[Tenure]:
        """Return those at a stage."""
        return [tenure for tenure in self if tenure.stage is stage]

    def jobs(self) -> list[Future[Any]]:
        """Return what runs for them."""
        return [tenure.job for tenure in self if tenure.job]

    def keep_to_leases(self) -> None:
        """Drop the shards that are not ours any more, and take in those that are new."""
        held = {shard: self._leases.epoch_of(shard) for shard in self._leases.shards}
        for tenure in self:
            if held.get(tenure.shard) != tenure.epoch:
                self.drop(tenure)
        new = [shard for shard in held if shard not in self._tenures]
        if not new:
            return
        manifests = OutboxManifest.objects.using(self.using).of(new).unsettled()
        unsettled = set(manifests.values_list("shard", flat=True))
        for shard in new:
            tenure = Tenure(self.using, shard, held[shard], self._leases.valid)
            tenure.needed = shard in unsettled
            self._tenures[shard] = tenure

    def drop(self, tenure: Tenure) -> None:
        """End a tenure at once."""
        tenure.withdraw()
        self._tenures.pop(tenure.shard, None)

    def drop_all(self) -> None:
        """End all of them at once."""
        for tenure in self:
            self.drop(tenure)

    def locked(self, tenures: Iterable[Tenure]) -> list[Tenure]:
        """Return those whose lease is ours, under the epoch it had, until the transaction ends."""
        mine = set(self._leases.lock())
        return [
            tenure
            for tenure in tenures
            if tenure.shard in mine and tenure.epoch == self._leases.epoch_of(tenure.shard)
        ]

    def keep(self, tenures: Iterable[Tenure], owned: Sequence[Tenure]) -> None:
        """Drop those of ``tenures`` that a look at the leases did not find to be ours."""
        for tenure in tenures:
            if tenure not in owned:
                self.drop(tenure)

    def clear(self, tenures: Iterable[Tenure]) -> None:
        """Take it that something of these shards was recorded: no event of theirs kills."""
        crashes = self._leases.crashes()
        if crashes:
            self._leases.forgive(
                [t.shard for t in tenures if t.shard in crashes and not t.on_trial]
            )

    def still_owned(self, tenures: Sequence[Tenure]) -> list[Tenure]:
        """Return those that are ours at this moment, and drop the others."""
        if not tenures:
            return []
        with transaction.atomic(using=self.using):
            owned = self.locked(tenures)
        self.keep(tenures, owned)
        return owned
