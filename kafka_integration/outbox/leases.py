"""Which relay may send: shards leased in a table, by the database's clock.

Each tenure has an owner name of its own, so a relay that lost its leases and took them again is
not mistaken for the one it was. Nothing here depends on the database session, so it works behind
PgBouncer in transaction mode.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models.functions import Now

from ..models import OutboxLease, OutboxSetup

_MARGIN = 0.2  # of the lease, given up by the holder before the database says so


class Leases:
    """The leases of one relay.

    Args:
        using: alias of the outbox's database.
        seconds: how long a lease lasts after it was last renewed.
    """

    def __init__(self, using: str, seconds: float) -> None:
        self.using = using
        self.seconds = seconds
        self.owner = ""
        self.shards: list[int] = []
        self._deadline = 0.0
        self._epochs: dict[int, int] = {}

    def acquire(self) -> bool:
        """Take every shard that is free; return whether we hold any."""
        self._ensure_rows()
        asked = _now()
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        with transaction.atomic(using=self.using):
            free = list(self._rows().filter(_is_free()).select_for_update().order_by("shard"))
            self._rows().filter(_is_free(), shard__in=[lease.shard for lease in free]).update(
                owner=self.owner, epoch=models.F("epoch") + 1, expires_at=self._expiry()
            )
        self.shards = self._held()
        self._deadline = asked + self.seconds * (1 - _MARGIN)
        return bool(self.shards)

    def renew(self) -> bool:
        """Extend the leases; return whether all of them were still ours.

        The new deadline counts from before the question was sent, so that a slow answer never
        makes us believe in a lease that has run out.
        """
        asked = _now()
        mine = self._rows().filter(owner=self.owner, expires_at__gt=Now())
        if mine.update(expires_at=self._expiry()) != len(self.shards):
            return False
        self._deadline = asked + self.seconds * (1 - _MARGIN)
        return True

    def release(self) -> None:
        """Give the leases up at once, so that another relay need not wait for their end."""
        self._rows().filter(owner=self.owner).update(owner="", expires_at=None)
        self.shards = []
        self._deadline = 0.0

    def lock(self) -> list[int]:
        """Return the shards that are still ours, locked until the open transaction ends.

        While they are locked nobody can take them over, so what the transaction changes is not
        a successor's.
        """
        mine = self._rows().filter(owner=self.owner, expires_at__gt=Now())
        return [lease.shard for lease in mine.select_for_update().order_by("shard")]

    def valid(self) -> bool:
        """Tell, by our own clock and on the safe side, whether the leases still hold."""
        return bool(self.shards) and _now() < self._deadline

    def due(self) -> bool:
        """Tell whether it is time to renew: a third of the lease has passed."""
        return _now() > self._deadline - self.seconds * (2 / 3 - _MARGIN)

    def holder(self) -> str:
        """Return who holds a lease now, as ``host:pid``, or an empty text."""
        taken = self._rows().exclude(owner="").filter(expires_at__gt=Now())
        owner = taken.values_list("owner", flat=True).first() or ""
        return owner.rpartition(":")[0]

    def epoch_of(self, shard: int) -> int:
        """Return the epoch of our lease on ``shard``, one that we hold or held last."""
        return self._epochs.get(shard, 0)

    def _held(self) -> list[int]:
        mine = self._rows().filter(owner=self.owner).order_by("shard")
        self._epochs = dict(mine.values_list("shard", "epoch"))
        return list(self._epochs)

    def _ensure_rows(self) -> None:
        count = OutboxSetup.objects.using(self.using).shards()
        if self._rows().count() < count:
            self._rows().bulk_create(
                [OutboxLease(shard=shard) for shard in range(count)], ignore_conflicts=True
            )

    def _rows(self) -> models.QuerySet[OutboxLease]:
        return OutboxLease.objects.using(self.using)

    def _expiry(self) -> models.ExpressionWrapper[Any]:
        return models.ExpressionWrapper(
            Now() + models.Value(timedelta(seconds=self.seconds)),
            output_field=models.DateTimeField(),
        )


def _is_free() -> models.Q:
    return models.Q(owner="") | models.Q(expires_at=None) | models.Q(expires_at__lte=Now())


def _now() -> float:
    # Goes on while the machine is suspended, as the database's clock does.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
