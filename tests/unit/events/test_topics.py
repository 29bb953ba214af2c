"""What a topic may be called."""

from __future__ import annotations

import pytest

from kafka_integration.errors import TopicNameError
from kafka_integration.events.topics import Topic, check_event_topic, dead_letter_topic


@pytest.mark.parametrize("name", ["campaign.created.json", "budget_approval.request_2.json"])
def test_a_good_name_is_returned(name: str) -> None:
    assert check_event_topic(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("campaign.created", "2 parts where three"),
        ("campaign.created.json.dlq", "4 parts where three"),
        ("Campaign.created.json", "'Campaign' is not a lower case word"),
        ("campaign.status-changed.json", "'status-changed' is not a lower case word"),
        ("campaign..json", "'' is not a lower case word"),
        ("campaign.1st.json", "'1st' is not a lower case word"),
        ("campaign.created.xml", "the format 'xml' is none of json, avro, protobuf"),
        ("campaign." + "x" * 240 + ".json", "longer than Kafka's 249"),
        ("", "1 parts where three"),
    ],
)
def test_a_bad_name_is_refused_with_its_reason_and_the_rule(name: str, reason: str) -> None:
    with pytest.raises(TopicNameError) as caught:
        check_event_topic(name)
    assert reason in str(caught.value)
    assert "domain.action.format" in str(caught.value)


def test_the_longest_name_leaves_room_for_its_dead_letters() -> None:
    longest = "a." + "x" * (249 - len("a..json.dlq")) + ".json"
    assert len(dead_letter_topic(check_event_topic(longest))) == 249
    with pytest.raises(TopicNameError):
        check_event_topic("a" + longest)


def test_a_topic_knows_its_domain_and_can_be_a_key() -> None:
    topic = Topic("budget_approval.request_created.json", 3, 1, {"cleanup.policy": "delete"})
    assert topic.domain == "budget_approval"
    assert {topic: 1}[topic] == 1
