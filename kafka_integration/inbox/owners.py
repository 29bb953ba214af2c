"""Tells whether the last owner of a partition ended in an orderly way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from uuid import uuid4

from django.db import transaction

from ..broker.offsets import Place
from ..events.registry import Handler
from ..models import InboxOwner


class Owners:
    """The partitions of a group, as the database knows who has them.

    Args:
        group: the consumer group.
        handlers: its handlers; a topic's rows are in the first of its handlers' databases.
    """

    def __init__(self, group: str, handlers: Sequence[Handler]) -> None:
        self.name = str(uuid4())
        self._group = group
        self._databases = {
            handler.topic: min(other.using for other in handlers if other.topic == handler.topic)
            for handler in handlers
        }

    def claim(self, places: Collection[Place]) -> set[Place]:
        """Take partitions; return those whose last owner ended without giving them up.

        Raises:
            DatabaseError: the database is away.
        """
        suspected: set[Place] = set()
        for using, here in self._by_database(places).items():
            with transaction.atomic(using=using):
                rows = InboxOwner.objects.using(using)
                left = rows.claim(self._group, here, self.name)
                suspected.update(rows.filter(pk__in=left).values_list("topic", "partition"))
        return suspected

    def release(self, places: Collection[Place]) -> None:
        """Give partitions up, with nothing of them at work.

        Raises:
            DatabaseError: the database is away; who has them next takes us for dead.
        """
        for using, here in self._by_database(places).items():
            InboxOwner.objects.using(using).release(self._group, here, self.name)

    def _by_database(self, places: Collection[Place]) -> dict[str, list[Place]]:
        found: dict[str, list[Place]] = defaultdict(list)
        for place in sorted(places):
            if place[0] in self._databases:
                found[self._databases[place[0]]].append(place)
        return found
