"""Partitions whose last owner died."""

from __future__ import annotations

import pytest

from kafka_integration.inbox.careful import Careful
from kafka_integration.inbox.owners import Owners

from .messages import GROUP, TOPIC, handler, ignore

ONE, TWO = (TOPIC, 1), (TOPIC, 2)


def test_so_many_messages_are_handled_with_care_and_then_no_more() -> None:
    careful = Careful()
    careful.suspect({ONE}, 2)
    assert (careful.has(ONE), careful.has(TWO)) == (True, False)
    careful.passed(ONE)
    careful.passed(TWO)
    assert careful.has(ONE)
    careful.passed(ONE)
    assert not careful.has(ONE)


def test_a_partition_that_goes_is_forgotten() -> None:
    careful = Careful()
    careful.suspect({ONE, TWO}, 9)
    careful.drop({ONE})
    assert (careful.has(ONE), careful.has(TWO)) == (False, True)


@pytest.mark.django_db
class TestOwners:
    def test_who_gave_up_is_not_suspected_and_who_did_not_is(self) -> None:
        first, second, third = (Owners(GROUP, [handler(ignore)]) for _ in range(3))
        assert first.claim({ONE, TWO}) == set()
        assert first.claim({ONE, TWO}) == set(), "its own"
        first.release({ONE})
        assert second.claim({ONE, TWO}) == {TWO}
        assert third.claim({ONE, TWO}) == {ONE, TWO}

    def test_nobody_gives_up_what_another_has_taken(self) -> None:
        first, second, third = (Owners(GROUP, [handler(ignore)]) for _ in range(3))
        first.claim({ONE})
        second.claim({ONE})
        first.release({ONE})
        assert third.claim({ONE}) == {ONE}

    def test_groups_are_apart(self) -> None:
        Owners(GROUP, [handler(ignore)]).claim({ONE})
        assert Owners("others", [handler(ignore)]).claim({ONE}) == set()

    def test_topics_of_other_groups_are_left_alone(self) -> None:
        owners = Owners(GROUP, [handler(ignore)])
        assert owners.claim({("other.topic.json", 1)}) == set()
