"""What is sent depends on the seed alone, and has of everything."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.storm.inbound.stream import REASONS, Item, Manner, stream


def test_a_seed_gives_the_same_again() -> None:
    assert list(stream(7, 2_000)) == list(stream(7, 2_000))
    assert list(stream(7, 2_000)) != list(stream(8, 2_000))


@pytest.mark.parametrize("seed", range(5))
def test_it_has_of_everything(seed: int) -> None:
    items = list(stream(seed, 5_000))
    assert len(set(items)) == 5_000
    assert {item.manner for item in items} == set(Manner)
    assert {item.table for item in items} == {"single", "batch"}
    assert 10 < sum(item.manner in REASONS for item in set(items)) < 150


def test_numbers_of_a_key_grow_by_one_at_their_first_appearance() -> None:
    numbers: dict[tuple[str, str], list[int]] = {}
    for item in dict.fromkeys(stream(3, 5_000)):
        numbers.setdefault((item.table, item.key), []).append(item.number)
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())


def test_events_with_an_id_come_again_at_once_and_far_apart() -> None:
    items = list(stream(3, 5_000))
    places: dict[Item, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item, []).append(place)
    repeats = {item: found for item, found in places.items() if len(found) > 1}
    assert Counter(map(len, places.values())).keys() == {1, 2}
    assert all(item.named for item in repeats)
    apart = [second - first for first, second in repeats.values()]
    assert apart.count(1) > 50
    assert sum(distance >= 50 for distance in apart) > 50


def test_poison_is_what_it_says() -> None:
    def value(manner: Manner) -> bytes:
        return Item("single", "a", 1, manner, named=True).value

    with pytest.raises(UnicodeDecodeError):
        value(Manner.GARBLED).decode()
    assert json.loads(value(Manner.INVALID))["number"] == "many"
    assert json.loads(value(Manner.FATAL)) == {"lane": "a", "number": 1, "manner": "fatal"}
    newer = dict(Item("single", "a", 1, Manner.NEWER, named=False).headers)
    assert newer["ce_dataversion"] == b"99"
    assert "ce_id" not in newer
