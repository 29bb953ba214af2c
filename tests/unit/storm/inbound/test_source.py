"""What stands in the topics must be what was to be sent, or the storm proves nothing."""

from __future__ import annotations

import pytest

from tests.storm.inbound.source import SourceBroken, require_as_planned, sent
from tests.storm.inbound.stream import Item, Manner

from .messages import SENT, TOPIC

TOPICS = {"single": TOPIC}
ITEMS = [
    Item("single", one.key, one.number, Manner(one.wire.header("storm_manner")), named=True)
    for one in SENT
]


def test_a_message_tells_which_event_it_is() -> None:
    assert [sent(one.wire) for one in SENT] == SENT


def test_it_is_content_with_what_was_planned_whatever_keys_lie_between() -> None:
    require_as_planned(SENT, ITEMS, TOPICS)
    require_as_planned(SENT[::-1], sorted(ITEMS, key=lambda item: item.key), TOPICS)


def test_one_that_is_missing_too_many_or_elsewhere_is_a_mistake_of_the_storm() -> None:
    for found in (SENT[1:], [*SENT, SENT[0]]):
        with pytest.raises(SourceBroken, match=r"storm\.single_x\.json"):
            require_as_planned(found, ITEMS, TOPICS)
    with pytest.raises(SourceBroken):
        require_as_planned(SENT, ITEMS[::-1], TOPICS)
