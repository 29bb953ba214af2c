"""Which keys are parked, and when their first message may be tried again. No clock here."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from itertools import count

from ..broker.offsets import Place
from ..events.envelope import Message


@dataclass
class Seat:
    """A lane with parked messages.

    Args:
        message: its first one, maybe without its value.
        due: when that may be tried, in seconds of any clock.
        version: changes with every message that is parked in it.
        number: about how many there are.
        out: whether someone is at it.
        alone: whether its first message is to be tried alone.
    """

    message: Message
    due: float
    version: int
    number: int = 1
    out: bool = False
    alone: bool = False

    @property
    def place(self) -> Place:
        """Its partition."""
        return self.message.topic, self.message.partition


class Waiting:
    """The lanes of our partitions that are parked: what comes for them waits in the database.

    Any thread may call any method. The messages themselves are in the database; here is only what
    tells, at no cost for a message whose key is not parked, that there are some.
    """

    def __init__(self) -> None:
        self._seats: dict[Hashable, Seat] = {}
        self._due: list[tuple[float, int, Hashable, Seat]] = []
        self._numbers = count(1)
        self._lock = threading.Lock()

    def holds(self, lane: Hashable) -> bool:
        """Tell whether messages of this lane are parked."""
        return lane in self._seats

    def number(self, lane: Hashable) -> int:
        """Return about how many messages of this lane are parked."""
        seat = self._seats.get(lane)
        return 0 if seat is None else seat.number

    def version(self, lane: Hashable) -> int:
        """Return what :meth:`close` wants; ask before you look into the database."""
        seat = self._seats.get(lane)
        return 0 if seat is None else seat.version

    def note(
        self,
        lane: Hashable,
        message: Message,
        due: float,
        number: int = 1,
        *,
        alone: bool = False,
    ) -> None:
        """Take it that messages of this lane are parked, ``message`` or one before it first."""
        with self._lock:
            seat = self._seats.get(lane)
            if seat is None:
                seat = self._seats[lane] = Seat(
                    message, due, next(self._numbers), number, alone=alone
                )
                self._offer(lane, seat)
            else:
                seat.version = next(self._numbers)
                seat.number += number

    def take(self, now: float, most: int) -> list[tuple[Hashable, Message, bool]]:
        """Return lanes that are due, with their first message; they are out until they go on.

        The third value tells whether it is to be tried alone.
        """
        taken: list[tuple[Hashable, Message, bool]] = []
        with self._lock:
            while self._due and self._due[0][0] <= now and len(taken) < most:
                due, _, lane, seat = heapq.heappop(self._due)
                if self._seats.get(lane) is seat and seat.due == due and not seat.out:
                    seat.out = True
                    taken.append((lane, seat.message, seat.alone))
                    seat.alone = False
        return taken

    def is_due(self, now: float) -> bool:
        """Tell whether a lane is due, or someone is at one."""
        with self._lock:
            return any(seat.out or seat.due <= now for seat in self._seats.values())

    def less(self, lane: Hashable) -> None:
        """Take it that one message of this lane is parked no longer."""
        seat = self._seats.get(lane)
        if seat is not None:
            seat.number = max(0, seat.number - 1)

    def go_on(self, lane: Hashable, message: Message, due: float) -> None:
        """Take it that a lane's first message is this one, and when it may be tried."""
        with self._lock:
            seat = self._seats.get(lane)
            if seat is not None:
                seat.message, seat.due, seat.out = message, due, False
                self._offer(lane, seat)

    def close(self, lane: Hashable, version: int, now: float) -> None:
        """Take it that nothing of this lane was parked any more when it had that version.

        If a message was parked since, the lane is due again.
        """
        with self._lock:
            seat = self._seats.get(lane)
            if seat is None:
                return
            if seat.version == version:
                del self._seats[lane]
                return
            seat.due, seat.out = now, False
            self._offer(lane, seat)

    def drop(self, places: Collection[Place]) -> None:
        """Forget what is parked of these partitions."""
        with self._lock:
            gone = [lane for lane, seat in self._seats.items() if seat.place in places]
            for lane in gone:
                del self._seats[lane]

    def _offer(self, lane: Hashable, seat: Seat) -> None:
        heapq.heappush(self._due, (seat.due, next(self._numbers), lane, seat))
