"""Who relays: the relays that are alive, and their leases on the shards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from .clock import end_when_idle, in_seconds

if TYPE_CHECKING:
    from typing_extensions import Self

_MOST_IDLE = 10.0


class OutboxRelayQuerySet(models.QuerySet["OutboxRelay"]):
    """Relays, those that hold nothing included."""

    def living(self) -> Self:
        """Return those that gave a sign of life lately, the oldest first."""
        return self.filter(expires_at__gt=Now()).order_by("pk")

    def announce(self, owner: str, seconds: float) -> None:
        """Give a sign of life of ``owner`` that lasts for ``seconds``; forget those of the dead."""
        expiry = in_seconds(seconds)
        if not self.filter(owner=owner).update(expires_at=expiry):
            self.create(owner=owner, expires_at=expiry)
        self.filter(expires_at__lte=Now()).delete()

    def withdraw(self, owner: str) -> None:
        """Take ``owner`` out at once."""
        self.filter(owner=owner).delete()


class OutboxRelay(models.Model):
    """A relay's presence. The order of their keys is the order in which they came."""

    owner = models.CharField(max_length=200, unique=True)
    started_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    objects = OutboxRelayQuerySet.as_manager()

    class Meta:
        db_table = "kafka_outbox_relay"
        verbose_name = "relay"

    def __str__(self) -> str:
        return self.owner


class OutboxLeaseQuerySet(models.QuerySet["OutboxLease"]):
    """Leases. What changes several of them locks them in one order, so that none deadlocks."""

    def below(self, shards: int) -> Self:
        """Return the leases of an outbox with so many shards: a smaller one keeps the others.

        They are kept for their epochs, which must never go back.
        """
        return self.filter(shard__lt=shards)

    def ensure(self, shards: int) -> None:
        """Make the leases that are missing."""
        if self.below(shards).count() < shards:
            leases = [OutboxLease(shard=shard) for shard in range(shards)]
            self.bulk_create(leases, ignore_conflicts=True)

    def free(self) -> Self:
        """Return those that nobody holds, or whose time has run out."""
        is_free = models.Q(owner="") | models.Q(expires_at=None) | models.Q(expires_at__lte=Now())
        return self.filter(is_free)

    def taken(self) -> Self:
        """Return those that somebody holds."""
        return self.exclude(owner="").filter(expires_at__gt=Now())

    def held(self, owner: str, epochs: Mapping[int, int]) -> Self:
        """Return those that are ``owner``'s still, in the epochs in which it took them.

        Args:
            owner: the name of one tenure.
            epochs: by shard.
        """
        shards: dict[int, list[int]] = {}
        for shard, epoch in epochs.items():
            shards.setdefault(epoch, []).append(shard)
        ours = models.Q(pk__in=[])
        for epoch, of_epoch in shards.items():
            ours |= models.Q(epoch=epoch, shard__in=of_epoch)
        return self.filter(ours, owner=owner, expires_at__gt=Now())

    def lock(self) -> list[int]:
        """Lock the leases until the open transaction ends; return their shards."""
        end_when_idle(self.db, _MOST_IDLE)
        return [lease.shard for lease in self.select_for_update().order_by("shard")]

    def take(self, owner: str, seconds: float, most: int, former: str = "") -> dict[int, int]:
        """Take free leases, the lowest first; return their epochs by shard.

        What another transaction has locked is left alone: it may be that of a relay which was
        paused in its midst. A lease that ran out counts as a crash of its owner.

        Args:
            owner: the name of the tenure.
            seconds: how long they last without renewal.
            most: how many at most.
            former: the name of our tenure before, in which we lost leases, but did not die.
        """
        if most <= 0:
            return {}
        with transaction.atomic(using=self.db):
            end_when_idle(self.db, _MOST_IDLE)
            locked = self.free().select_for_update(skip_locked=True).order_by("shard")[:most]
            chosen = self.filter(shard__in=[lease.shard for lease in locked])
            chosen.free().update(
                owner=owner,
                epoch=models.F("epoch") + 1,
                expires_at=in_seconds(seconds),
                crashes=_crashes_after(owner, former),
            )
            return dict(chosen.filter(owner=owner).values_list("shard", "epoch"))

    def crashed(self) -> dict[int, int]:
        """Return how many owners died one after the other, by shard, for those where any did."""
        found = self.filter(crashes__gt=0).values_list("shard", "crashes")
        return {shard: count or 0 for shard, count in found}

    def forgive(self) -> int:
        """Forget that owners died; return for how many leases."""
        return self.filter(crashes__gt=0).update(crashes=0)

    def extend(self, seconds: float) -> int:
        """Let the leases last for ``seconds`` from now; return how many there were."""
        with transaction.atomic(using=self.db):
            return self.filter(shard__in=self.lock()).update(expires_at=in_seconds(seconds))

    def give_up(self) -> int:
        """Free the leases at once; return how many there were."""
        with transaction.atomic(using=self.db):
            return self.filter(shard__in=self.lock()).update(owner="", expires_at=None)

    def void(self) -> None:
        """Free the leases at once, and let whoever holds one find out."""
        self.update(owner="", expires_at=None, epoch=models.F("epoch") + 1)


def _crashes_after(*ours: str) -> models.Case:
    """Return the count of crashes once a lease has been taken, by an owner of these names."""
    known = Coalesce(models.F("crashes"), 0)
    return models.Case(models.When(owner__in=["", *ours], then=known), default=known + 1)


class OutboxLease(models.Model):
    """Which relay may send a shard, until when. ``epoch`` grows with each change of owner.

    ``crashes`` counts the owners that let the lease run out, one after the other, and recorded
    nothing of the shard; None as 0.
    """

    shard = models.SmallIntegerField(primary_key=True)
    owner = models.CharField(max_length=200, blank=True, default="")
    epoch = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    # Nullable, so that relays of the version before can still make leases.
    crashes = models.SmallIntegerField(null=True, blank=True, default=0)

    objects = OutboxLeaseQuerySet.as_manager()

    class Meta:
        db_table = "kafka_outbox_lease"
        verbose_name = "relay lease"

    def __str__(self) -> str:
        return f"shard {self.shard}"
