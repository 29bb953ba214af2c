"""Reading by position beside writers: nothing is missed, nothing overtakes within its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kafka_integration.outbox.horizon import Horizon, Mark, Snapshot

KEYS = "ab"


@dataclass
class Transaction:
    """An open transaction; it has its number from its first insert on."""

    number: int
    positions: dict[int, str] = field(default_factory=dict)


@dataclass
class Database:
    """As much of PostgreSQL as matters here: numbers, positions, snapshots, and locks of keys."""

    next_number: int = 1
    next_position: int = 1
    latest_ended: int = 0
    open: dict[int, Transaction] = field(default_factory=dict)
    rows: dict[int, str] = field(default_factory=dict)

    def begin(self) -> Transaction:
        made = Transaction(self.next_number)
        self.next_number += 1
        self.open[made.number] = made
        return made

    def insert(self, transaction: Transaction, key: str) -> None:
        holders = [t for t in self.open.values() if key in t.positions.values()]
        if holders in ([], [transaction]):  # else it waits for the lock of the key
            transaction.positions[self.next_position] = key
            self.next_position += 1

    def end(self, transaction: Transaction, *, commit: bool) -> None:
        del self.open[transaction.number]
        self.latest_ended = max(self.latest_ended, transaction.number)
        if commit:
            self.rows |= transaction.positions

    def snapshot(self) -> Snapshot:
        xmax = self.latest_ended + 1
        return Snapshot(xmax, frozenset(number for number in self.open if number < xmax))


@dataclass
class Reader:
    """Reads as the relay does, and records what it read some time later."""

    database: Database
    horizon: Horizon = field(default_factory=Horizon)
    read: list[tuple[int, str]] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)
    recording: tuple[Transaction, list[int]] | None = None

    def look(self, limit: int) -> int:
        snapshot = self.database.snapshot()
        start = self.horizon.start(snapshot)
        under_way = {position for batch in self.batches for position in batch}
        if self.recording:
            under_way |= set(self.recording[1])
        found = sorted(p for p in self.database.rows if p > start and p not in under_way)[:limit]
        self.horizon.advance(snapshot, found[-1] if found else None, len(found) == limit)
        self.read += [(position, self.database.rows[position]) for position in found]
        self.batches.append(found)
        return len(found)

    def begin_recording(self) -> None:
        if self.batches and self.recording is None:
            top = self.horizon.top
            transaction = self.database.begin()
            self.horizon.mark(Mark(transaction.number, top))
            self.recording = transaction, self.batches.pop(0)

    def end_recording(self) -> None:
        if self.recording:
            transaction, batch = self.recording
            for position in batch:
                del self.database.rows[position]
            self.database.end(transaction, commit=True)
            self.recording = None


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 2), st.sampled_from(KEYS)),
        st.tuples(st.just("commit"), st.integers(0, 2)),
        st.tuples(st.just("abort"), st.integers(0, 2)),
        st.tuples(st.just("look"), st.integers(1, 3)),
        st.tuples(st.just("begin_recording")),
        st.tuples(st.just("end_recording")),
        st.tuples(st.just("restart")),
    ),
    min_size=20,
    max_size=60,
)
_UNDER = [("insert", 0, "b"), ("insert", 1, "a"), ("insert", 0, "b"), ("commit", 0), ("look", 3)]
# It has a higher number than all that have ended, so that the snapshot does not name it.
_STEPS_OF_ONE_NOT_BELOW_XMAX = [*_UNDER, ("commit", 1), ("look", 3)]
_STEPS_OF_ONE_THAT_WAS_RUNNING = [
    *[("insert", 1, "a"), ("insert", 0, "b"), ("commit", 0), ("look", 3), ("look", 3)],
    *[("commit", 1), ("look", 3)],
]
_STEPS_OF_MORE_THAN_FITS = [
    *[("insert", 1, "a"), ("insert", 1, "a"), ("insert", 0, "b"), ("commit", 0), ("look", 3)],
    *[("commit", 1), ("look", 1), ("insert", 0, "a"), ("commit", 0), ("look", 3)],
]
_STEPS_OF_ONE_THAT_BEGAN_BEFORE_THE_MARK = [
    *[*_UNDER, ("begin_recording",), ("end_recording",)],
    *[("insert", 2, "b"), ("commit", 2), ("look", 3), ("commit", 1), ("look", 3)],
]


@given(_STEPS)
@example(_STEPS_OF_ONE_NOT_BELOW_XMAX)
@example(_STEPS_OF_ONE_THAT_WAS_RUNNING)
@example(_STEPS_OF_MORE_THAN_FITS)
@example(_STEPS_OF_ONE_THAT_BEGAN_BEFORE_THE_MARK)
@hypothesis_settings(max_examples=400)
def test_every_committed_row_is_read_once_and_in_the_order_of_its_key(
    steps: list[tuple[Any, ...]],
) -> None:
    database = Database()
    reader = Reader(database)
    writers: dict[int, Transaction] = {}
    committed: dict[int, str] = {}

    def end(place: int, *, commit: bool) -> None:
        if transaction := writers.pop(place, None):
            database.end(transaction, commit=commit)
            committed.update(transaction.positions if commit else {})

    for name, *rest in steps:
        if name == "insert":
            writer = writers.get(rest[0]) or writers.setdefault(rest[0], database.begin())
            database.insert(writer, rest[1])
        elif name in ("commit", "abort"):
            end(rest[0], commit=name == "commit")
        elif name == "look":
            reader.look(rest[0])
        elif name == "restart":
            reader.horizon.restart()
        else:
            getattr(reader, name)()
    for place in list(writers):
        end(place, commit=True)
    while reader.look(3):
        pass
    assert sorted(reader.read) == sorted(committed.items())
    for key in KEYS:
        own = [position for position, of_key in reader.read if of_key == key]
        assert own == sorted(own)


def test_without_new_transactions_a_read_goes_on_where_the_last_one_ended() -> None:
    horizon = Horizon()
    horizon.advance(Snapshot(10, frozenset({4})), 100, is_cut=True)
    assert horizon.start(Snapshot(10, frozenset({4}))) == 100


def test_a_long_transaction_costs_nothing_while_it_runs_and_one_look_back_when_it_ends() -> None:
    horizon = Horizon()
    horizon.advance(Snapshot(10, frozenset()), 50, is_cut=False)
    horizon.mark(Mark(11, 50))
    horizon.advance(Snapshot(14, frozenset({12})), 100, is_cut=False)
    horizon.mark(Mark(14, 100))
    horizon.advance(Snapshot(15, frozenset({12})), 200, is_cut=False)
    assert horizon.start(Snapshot(15, frozenset({12}))) == 200
    assert horizon.start(Snapshot(15, frozenset())) == 50
    horizon.advance(Snapshot(15, frozenset()), 201, is_cut=False)
    assert horizon.start(Snapshot(15, frozenset())) == 201


def test_our_own_transactions_are_no_reason_to_look_back() -> None:
    horizon = Horizon()
    horizon.advance(Snapshot(10, frozenset()), 100, is_cut=False)
    horizon.mark(Mark(10, 100))
    horizon.mark(Mark(11, 100))
    assert horizon.start(Snapshot(12, frozenset())) == 100
    assert horizon.start(Snapshot(13, frozenset())) == 100, "12 began after the mark of 11"


def test_of_a_transaction_that_may_have_begun_long_ago_nothing_is_assumed() -> None:
    horizon = Horizon()
    horizon.advance(Snapshot(10, frozenset()), 100, is_cut=False)
    assert horizon.start(Snapshot(11, frozenset())) == 0


def test_an_older_snapshot_is_of_another_server() -> None:
    horizon = Horizon()
    horizon.advance(Snapshot(10, frozenset()), 100, is_cut=False)
    assert horizon.knows(Snapshot(10, frozenset()))
    assert not horizon.knows(Snapshot(9, frozenset()))


def test_a_snapshot_is_read_as_postgresql_writes_it() -> None:
    assert Snapshot.parse("10:20:10,14") == Snapshot(20, frozenset({10, 14}))
    assert Snapshot.parse("20:20:") == Snapshot(20, frozenset())
