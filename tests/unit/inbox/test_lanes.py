"""Who may run next, by example and by chance."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from kafka_integration.broker.offsets import Place
from kafka_integration.inbox.lanes import Lanes


@dataclass(eq=False)
class Item:
    """One message's place in the queue."""

    number: int
    lane: str
    partition: int = 0
    batch: str | None = None
    size: int = 10
    alone: bool = False

    @property
    def place(self) -> Place:
        return "t", self.partition


def filled(*lanes: str, batch: str | None = None) -> Lanes[Item]:
    found: Lanes[Item] = Lanes()
    for number, lane in enumerate(lanes):
        found.add(Item(number, lane, batch=batch))
    return found


def numbers(items: list[Item]) -> list[int]:
    return [item.number for item in items]


def test_a_lane_gives_one_at_a_time_and_the_others_go_on() -> None:
    lanes = filled("a", "a", "b")
    [first] = lanes.take(0)
    assert numbers([first, *lanes.take(0)]) == [0, 2]
    lanes.add(Item(3, "a"))
    assert lanes.take(0) == []
    lanes.done(first)
    assert numbers(lanes.take(0)) == [1]
    assert lanes.take(0) == []
    assert (lanes.count, lanes.size, lanes.out()) == (3, 30, 2)


def test_what_was_held_is_handed_out_once_it_is_released_and_who_is_alone_comes_first() -> None:
    lanes = filled("a", "b")
    lanes.hold({("t", 0)})
    lanes.add(Item(2, "c", alone=True))
    lanes.add(Item(3, "d", partition=1))
    assert numbers([*lanes.take(0), *lanes.take(0)]) == [3]
    lanes.release({("t", 0)})
    assert numbers([*lanes.take(0), *lanes.take(0), *lanes.take(0)]) == [2, 0, 1]


def test_a_retry_holds_its_lane_only_and_comes_first_there() -> None:
    lanes = filled("a", "a", "b")
    [first] = lanes.take(0)
    lanes.again(first, until=5.0)
    assert numbers(lanes.take(1)) == [2]
    assert lanes.take(4.9) == []
    assert lanes.next_wake() == 5.0
    assert numbers(lanes.take(5)) == [0]


def test_a_batch_takes_of_several_lanes_in_their_order() -> None:
    lanes = filled("a", "a", "b", "a", batch="x")
    lanes.add(Item(9, "c"))
    batch = lanes.take(0, most=3)
    assert numbers(batch) == [0, 1, 3]
    assert numbers(lanes.take(0, most=3)) == [2]
    assert numbers(lanes.take(0, most=3)) == [9]


def test_a_batch_that_comes_back_in_parts_keeps_its_order() -> None:
    lanes = filled("a", "a", "a", "a", batch="x")
    batch = lanes.take(0, most=4)
    lanes.back(batch[3])
    lanes.back(batch[2])
    lanes.again(batch[1], until=1.0)
    lanes.done(batch[0])
    assert lanes.take(0) == []
    assert numbers(lanes.take(1, most=4)) == [1, 2, 3]


def test_what_is_held_is_not_handed_out() -> None:
    lanes = filled("a", "a")
    lanes.add(Item(7, "other", partition=1))
    [first] = lanes.take(0)
    lanes.hold([("t", 0)])
    lanes.done(first)
    assert numbers(lanes.take(0)) == [7]
    assert lanes.take(0) == []
    assert lanes.out([("t", 0)]) == 0
    assert lanes.out([("t", 1)]) == 1


def test_after_a_drop_the_lane_waits_for_what_is_out_and_forgets_it() -> None:
    lanes = filled("a", "a")
    [orphan] = lanes.take(0)
    lanes.drop([("t", 0)])
    lanes.add(Item(5, "a"))
    assert lanes.take(0) == []
    lanes.again(orphan, until=9.0)
    assert numbers(lanes.take(0)) == [5]
    assert lanes.count == 1


def test_a_drop_ends_the_wait_of_its_lane() -> None:
    lanes = filled("a")
    [first] = lanes.take(0)
    lanes.again(first, until=9.0)
    lanes.drop([("t", 0)])
    lanes.add(Item(5, "a"))
    assert numbers(lanes.take(0)) == [5]
    assert lanes.take(9) == []


def test_stopped_it_gives_nothing_more() -> None:
    lanes = filled("a", "b")
    [first] = lanes.take(0)
    lanes.stop()
    lanes.done(first)
    assert lanes.take(0) == []


class Machine(RuleBasedStateMachine):
    """Whatever happens, each lane runs in order, one taker at a time, and nothing is lost."""

    out = Bundle("out")

    def __init__(self) -> None:
        super().__init__()
        self.lanes: Lanes[Item] = Lanes()
        self.number = 0
        self.now = 0.0
        self.waiting: dict[str, list[int]] = {}
        self.running: dict[str, list[int]] = {}
        self.orphans: set[int] = set()
        self.held: set[int] = set()
        self.until: dict[str, float] = {}

    @rule(key=st.integers(0, 3), partition=st.integers(0, 1), batch=st.sampled_from([None, "x"]))
    def add(self, key: int, partition: int, batch: str | None) -> None:
        lane = f"{partition}/{key}"
        self.number += 1
        self.lanes.add(Item(self.number, lane, partition, batch))
        self.waiting.setdefault(lane, []).append(self.number)

    @rule(target=out, most=st.integers(1, 4))
    def take(self, most: int) -> list[Item]:
        taken = self.lanes.take(self.now, most)
        busy = {lane for lane, running in self.running.items() if running}
        for item in taken:
            assert item.lane not in busy
            assert item.partition not in self.held
            assert self.until.get(item.lane, 0.0) <= self.now
            assert self.waiting[item.lane].pop(0) == item.number
            self.running.setdefault(item.lane, []).append(item.number)
        assert len({item.batch for item in taken}) <= 1
        assert len(taken) <= most
        if not taken:
            self.nothing_could_run()
        return taken

    def nothing_could_run(self) -> None:
        for lane, waiting in self.waiting.items():
            free = not self.running.get(lane) and int(lane[0]) not in self.held
            assert not waiting or not free or self.until.get(lane, 0.0) > self.now

    @rule(taken=consumes(out), outcome=st.sampled_from(["done", "again", "back"]))
    def give_back(self, taken: list[Item], outcome: str) -> None:
        for item in reversed(taken):
            self.running[item.lane].remove(item.number)
            kept = item.number not in self.orphans
            if outcome == "done":
                self.lanes.done(item)
                continue
            if outcome == "again":
                self.lanes.again(item, self.now + 1)
                if kept:
                    self.until[item.lane] = self.now + 1
            else:
                self.lanes.back(item)
            if kept:
                self.waiting[item.lane].insert(0, item.number)

    @rule(partition=st.integers(0, 1))
    def hold(self, partition: int) -> None:
        self.lanes.hold([("t", partition)])
        self.held.add(partition)

    @rule(partition=st.integers(0, 1))
    def drop(self, partition: int) -> None:
        self.lanes.drop([("t", partition)])
        self.held.discard(partition)
        for lane in [lane for lane in self.waiting if lane.startswith(f"{partition}/")]:
            self.waiting[lane] = []
            self.until.pop(lane, None)
            self.orphans.update(self.running.get(lane, []))

    @rule()
    def tick(self) -> None:
        self.now += 1

    @invariant()
    def it_counts_what_it_has(self) -> None:
        inside = [n for lane in (*self.waiting.values(), *self.running.values()) for n in lane]
        assert self.lanes.count == len(inside)
        assert self.lanes.size == 10 * len(inside)
        assert self.lanes.out() == sum(map(len, self.running.values()))


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
