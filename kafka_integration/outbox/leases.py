"""Which relay may send what: shards leased in a table, shared fairly, by the database's clock.

A relay announces itself, takes free shards up to its share, and hands over what is above it when
others appear. Each tenure has an owner name of its own, and each lease an epoch that grows with
every change of owner; whatever is changed under a lease is fenced by both. So a relay that lost its
leases and took them again is not mistaken for the one it was. Nothing here depends on the database
session, so it works behind PgBouncer in transaction mode.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterable

from django.db import transaction

from ..models import OutboxLease, OutboxRelay, OutboxSetup
from ..models.lease import OutboxLeaseQuerySet

_MARGIN = 0.2  # of the lease, given up by the holder before the database says so
_LOOK_EVERY = 0.25
_DEATHS = 2


class Leases:
    """The leases of one relay.

    One thread acquires, renews and gives up. :meth:`lock`, :meth:`valid`, :meth:`due` and
    :attr:`shards` may be used by any other meanwhile.

    Args:
        using: alias of the outbox's database.
        seconds: how long a lease lasts after it was last renewed.
    """

    def __init__(self, using: str, seconds: float) -> None:
        self.using = using
        self.seconds = seconds
        self.owner = ""
        self._former = ""
        # Replaced as a whole: other threads read them.
        self._crashes: dict[int, int] = {}
        self._epochs: dict[int, int] = {}
        self._spent = True
        self._count = 0
        self._share = 0
        self._deadline = 0.0
        self._in_doubt = False
        self._looked = 0.0

    @property
    def shards(self) -> list[int]:
        """The shards that we hold, as far as we know."""
        return sorted(self._epochs)

    def acquire(self) -> bool:
        """Announce ourselves and take what is free, up to our share; return whether we hold any.

        May be called as often as one likes while we hold some: it looks for more four times a
        second. A shard that is new to us has to be read from its lowest position.
        """
        if self._epochs and not self._sees_more():
            return True
        asked = _now()
        self._begin_tenure()
        self._take_part()
        self._leases().ensure(self._count)
        room = self._share - len(self._epochs)
        taken = self._others().take(self.owner, self.seconds, room, self._former)
        if taken and not self._epochs:
            self._set_deadline(asked)
        self._epochs = self._epochs | taken
        if taken:
            crashes = self._leases().held(self.owner, taken).crashed()
            self._crashes = self._crashes | dict.fromkeys(taken, 0) | crashes
        return bool(self._epochs)

    def renew(self) -> bool:
        """Extend presence and leases; return whether all leases were still ours.

        The new deadline counts from before the question was sent, so that a slow answer never
        makes us believe in a lease that has run out. Shards that a reshard has removed are ours no
        longer, which is no loss: nothing was queued then.
        """
        asked = _now()
        self._take_part()
        self._epochs = {s: epoch for s, epoch in self._epochs.items() if s < self._count}
        if self._leases().held(self.owner, self._epochs).extend(self.seconds) != len(self._epochs):
            return False
        self._set_deadline(asked)
        return True

    def surplus(self) -> list[int]:
        """Return the shards to hand over, as of the last renewal: those above our share.

        Always the highest ones. What is under way of them must be answered and recorded before
        :meth:`give_up`.
        """
        return self.shards[self._share :]

    def give_up(self, shards: Iterable[int]) -> None:
        """Free these shards at once, so that another relay need not wait for their lease's end.

        Nothing of them may be under way any more.
        """
        given = {shard: self._epochs[shard] for shard in shards if shard in self._epochs}
        if given:
            # First here, so that a lock() of this moment does not take them for lost.
            self._epochs = {s: epoch for s, epoch in self._epochs.items() if s not in given}
            self._leases().held(self.owner, given).give_up()

    def release(self) -> None:
        """Give up everything and withdraw our presence."""
        with transaction.atomic(using=self.using):
            # At one moment: who sees the shards free finds room for them in its share.
            OutboxRelay.objects.using(self.using).withdraw(self.owner)
            self.give_up(self.shards)
        self.lose()

    def lose(self) -> None:
        """Believe in none of our leases any more; the next tenure has a name of its own.

        What the database still holds for us runs out by itself: until then whatever is on the wire
        arrives before a successor begins.
        """
        self._epochs = {}
        self._deadline = 0.0
        self._spent = True

    def lock(self) -> list[int]:
        """Return the shards that are still ours, locked until the open transaction ends.

        While they are locked nobody can take them over, so what the transaction changes is not
        a successor's. If one is missing, renewal is due at once.
        """
        epochs = self._epochs
        ours = self._leases().held(self.owner, epochs).lock()
        missing = epochs.keys() - ours
        if any(self._epochs.get(shard) == epochs[shard] for shard in missing):
            self._in_doubt = True
        return ours

    def epoch_of(self, shard: int) -> int:
        """Return the epoch of our lease on ``shard``; 0 if we hold none."""
        return self._epochs.get(shard, 0)

    def crashes(self) -> dict[int, int]:
        """Return how many owners of a shard died before us, for the shards of ours where any did.

        They died one after the other, and recorded nothing of it.
        """
        return {s: count for s, count in self._crashes.items() if count and s in self._epochs}

    def suspected(self) -> list[int]:
        """Return the shards of ours that may hold an event that kills: two deaths are no accident.

        Little of them must go at a time, marked before it does.
        """
        return [shard for shard, count in self.crashes().items() if count >= _DEATHS]

    def forgive(self, shards: Iterable[int]) -> None:
        """Forget that the former owners of these shards died."""
        forgiven = {s: self._epochs[s] for s in shards if s in self._epochs}
        if forgiven:
            self._leases().held(self.owner, forgiven).forgive()
            self._crashes = self._crashes | dict.fromkeys(forgiven, 0)

    def valid(self) -> bool:
        """Tell, by our own clock and on the safe side, whether the leases still hold."""
        return bool(self._epochs) and not self._in_doubt and _now() < self._deadline

    def due(self) -> bool:
        """Tell whether it is time to renew: a third of the lease has passed, or one is missing."""
        return self._in_doubt or _now() > self._deadline - self.seconds * (2 / 3 - _MARGIN)

    def holder(self) -> str:
        """Return a relay that holds a lease now, as ``host:pid``, or an empty text."""
        taken = self._leases().taken().order_by("shard")
        return host_and_process(taken.values_list("owner", flat=True).first() or "")

    def _begin_tenure(self) -> None:
        if self._spent:
            OutboxRelay.objects.using(self.using).withdraw(self.owner)
            self._former = self.owner
            self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
            self._spent = False

    def _take_part(self) -> None:
        """Give a sign of life, and see how many shards and relays there are."""
        relays = OutboxRelay.objects.using(self.using)
        relays.announce(self.owner, self.seconds)
        owners = list(relays.living().values_list("owner", flat=True))
        rank = owners.index(self.owner) if self.owner in owners else len(owners)
        self._count = OutboxSetup.objects.using(self.using).shards()
        self._share = fair_share(self._count, max(1, len(owners)), rank)

    def _sees_more(self) -> bool:
        now = _now()
        if len(self._epochs) >= self._count or now - self._looked < _LOOK_EVERY:
            return False
        self._looked = now
        return self._others().free().exists()

    def _others(self) -> OutboxLeaseQuerySet:
        # One of ours that ran out unnoticed is a loss to be noticed, and not free.
        return self._leases().below(self._count).exclude(shard__in=list(self._epochs))

    def _set_deadline(self, asked: float) -> None:
        self._deadline = asked + self.seconds * (1 - _MARGIN)
        self._in_doubt = False

    def _leases(self) -> OutboxLeaseQuerySet:
        return OutboxLease.objects.using(self.using)


def fair_share(shards: int, relays: int, rank: int) -> int:
    """Return how many shards a relay may hold; the shares of all relays make up all shards.

    Args:
        shards: how many there are.
        relays: how many relays share them.
        rank: the relay's place among them, from 0; the first ones have what is left over.
    """
    return shards // relays + (rank < shards % relays)


def host_and_process(owner: str) -> str:
    """Return what people want to know of an owner's name: ``host:pid``."""
    return owner.rpartition(":")[0]


def _now() -> float:
    # Goes on while the machine is suspended, as the database's clock does.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
