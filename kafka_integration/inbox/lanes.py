"""Which message may run next, so that those of one lane run one after the other. No clock here."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Hashable
from itertools import count
from typing import Generic, Protocol, TypeVar

from ..broker.offsets import Place


class Item(Protocol):
    """What goes through a lane: usually a :class:`~kafka_integration.inbox.job.Job`."""

    @property
    def lane(self) -> Hashable:
        """What it is in order with; items of two lanes may run at the same time."""

    @property
    def place(self) -> Place:
        """Its partition; all items of a lane have the same."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def batch(self) -> Hashable:
        """Items of one batch may be taken together; None means that it runs alone."""

    @property
    def alone(self) -> bool:
        """Whether it goes before all others."""


I = TypeVar("I", bound=Item)  # noqa: E741  # as in "item"


class Lane(Generic[I]):
    """The items of one lane that wait, in order, and how many of it are out."""

    def __init__(self, name: Hashable, place: Place) -> None:
        self.name = name
        self.place = place
        self.queue: deque[I] = deque()
        self.out = 0
        self.until: float | None = None


class Lanes(Generic[I]):
    """Hands out items: of each lane in order, of all lanes whoever is ready first.

    A lane whose item is out, or waits for another try, gives nothing; the others go on. What was
    taken must come back through :meth:`done`, :meth:`again` or :meth:`back`.
    """

    def __init__(self) -> None:
        self.count = 0
        self.size = 0
        self._lanes: dict[Hashable, Lane[I]] = {}
        self._ready: OrderedDict[Hashable, Lane[I]] = OrderedDict()
        self._later: list[tuple[float, int, Lane[I]]] = []
        self._ties = count()
        self._held: set[Place] = set()
        self._stopped = False
        self._out: Counter[Place] = Counter()
        self._orphans: set[I] = set()
        self._taken: set[I] = set()

    @property
    def ready(self) -> int:
        """How many lanes have something to hand out now."""
        return len(self._ready)

    @property
    def next_batch(self) -> Hashable:
        """The batch of the item that would be handed out next; None also where there is none."""
        return next((lane.queue[0].batch for lane in self._first()), None)

    def add(self, item: I) -> None:
        """Put an item behind the others of its lane."""
        lane = self._lanes.get(item.lane)
        if lane is None:
            lane = self._lanes[item.lane] = Lane(item.lane, item.place)
        lane.queue.append(item)
        self._count(item, 1)
        self._offer(lane)

    def take(self, now: float, most: int = 1) -> list[I]:
        """Return the next item, or a batch of up to ``most``; nothing if no lane is ready.

        Args:
            now: seconds of any clock; lanes whose wait has ended by then are ready.
            most: how many of one batch to take together, over all ready lanes.
        """
        self._wake(now)
        taken: list[I] = []
        for lane in list(self._ready.values()) if most > 1 else [*self._first()]:
            self._take_from(lane, taken, most)
            if len(taken) >= most or taken[0].batch is None:
                break
        return taken

    def done(self, item: I) -> None:
        """Take back an item that is finished; the next of its lane may run."""
        self._offer(self._return(item))
        self._count(item, -1)

    def again(self, item: I, until: float) -> None:
        """Take back an item that is to run again at ``until``; its lane waits for it."""
        if item in self._orphans:
            self.done(item)
            return
        lane = self._return(item)
        lane.queue.appendleft(item)
        lane.until = until
        heapq.heappush(self._later, (until, next(self._ties), lane))
        self._ready.pop(lane.name, None)

    def back(self, item: I) -> None:
        """Take back an item that did not run. Of several, the last comes back first."""
        if item in self._orphans:
            self.done(item)
            return
        lane = self._return(item)
        lane.queue.appendleft(item)
        self._offer(lane)

    def hold(self, places: Collection[Place]) -> None:
        """Hand out nothing more of these partitions, until they are released or dropped."""
        self._held.update(places)
        for lane in [lane for lane in self._ready.values() if lane.place in self._held]:
            del self._ready[lane.name]

    def release(self, places: Collection[Place]) -> None:
        """Hand out what waits of these partitions again."""
        self._held.difference_update(places)
        for lane in [lane for lane in self._lanes.values() if lane.place in places]:
            self._offer(lane)

    def stop(self) -> None:
        """Hand out nothing more at all."""
        self._stopped = True
        self._ready.clear()

    def drop(self, places: Collection[Place]) -> None:
        """Forget what waits of these partitions. What is out is forgotten when it comes back.

        Until then its lane stays closed for what may come after it.
        """
        self._orphans.update(item for item in self._taken if item.place in places)
        for lane in [lane for lane in self._lanes.values() if lane.place in places]:
            for item in lane.queue:
                self._count(item, -1)
            lane.queue.clear()
            lane.until = None
            self._ready.pop(lane.name, None)
            if not lane.out:
                del self._lanes[lane.name]
        self._held.difference_update(places)

    def out(self, places: Collection[Place] | None = None) -> int:
        """Return how many items are out: of these partitions, or of all."""
        if places is None:
            return len(self._taken)
        return sum(self._out[place] for place in places)

    def next_wake(self) -> float | None:
        """Return when the next waiting lane is ready, or None if none waits."""
        return self._later[0][0] if self._later else None

    def _first(self) -> list[Lane[I]]:
        return [next(iter(self._ready.values()))] if self._ready else []

    def _take_from(self, lane: Lane[I], taken: list[I], most: int) -> None:
        while lane.queue and len(taken) < most:
            item = lane.queue[0]
            if taken and (item.batch is None or item.batch != taken[0].batch):
                break
            taken.append(lane.queue.popleft())
            lane.out += 1
            self._taken.add(item)
            self._out[item.place] += 1
            if item.batch is None:
                break
        if lane.out:
            self._ready.pop(lane.name, None)

    def _return(self, item: I) -> Lane[I]:
        self._taken.remove(item)
        self._orphans.discard(item)
        self._out[item.place] -= 1
        lane = self._lanes[item.lane]
        lane.out -= 1
        return lane

    def _offer(self, lane: Lane[I]) -> None:
        if lane.out:
            return
        if not lane.queue:
            del self._lanes[lane.name]
        elif lane.until is None and not self._stopped and lane.place not in self._held:
            self._ready.setdefault(lane.name, lane)
            if lane.queue[0].alone:
                self._ready.move_to_end(lane.name, last=False)

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            until, _, lane = heapq.heappop(self._later)
            # The lane may have been dropped, or made anew, since it began to wait.
            if lane.until == until and self._lanes.get(lane.name) is lane:
                lane.until = None
                self._offer(lane)

    def _count(self, item: I, number: int) -> None:
        self.count += number
        self.size += number * item.size
