"""Which contracts stand for a topic."""

from __future__ import annotations

import pytest

from kafka_integration import EventData, accepts
from kafka_integration.errors import DeclarationError, NotAContract, TopicNameError
from kafka_integration.gateway.acceptance import acceptances
from kafka_integration.gateway.checks import check_gateway
from mediajira.campaigns.events import CampaignDeleted

from .conftest import NOTES, VOTES, NoteAdded


def test_a_contract_is_closed_to_unknown_fields_and_keeps_its_name() -> None:
    [found] = acceptances.of(NOTES)
    assert found.closed is found.closed
    assert found.closed.type_name() == "NoteAdded"
    assert found.closed.model_config["extra"] == "forbid"
    assert issubclass(found.closed, NoteAdded)


def test_a_contract_that_says_itself_what_unknown_fields_are_stays_as_it_is() -> None:
    class Loose(EventData, extra="allow"):
        pass

    accepts("loose.made.json", Loose)
    assert acceptances.of("loose.made.json")[0].closed is Loose


def test_a_topic_without_a_declaration_accepts_what_models_publish() -> None:
    [found] = acceptances.of("campaign.deleted.json")
    assert found.contract is CampaignDeleted
    assert acceptances.of("nobody.knows.json") == []


def test_declarations_that_cannot_be_are_refused() -> None:
    with pytest.raises(DeclarationError, match="already accepts NoteAdded version 1"):
        accepts(NOTES, NoteAdded)
    with pytest.raises(TopicNameError):
        accepts("notes", NoteAdded)
    with pytest.raises(NotAContract):
        accepts(VOTES, dict)  # type: ignore[arg-type]  # the mistake that is tested


def test_the_checks_are_content_with_what_is_right() -> None:
    assert check_gateway() == []


@pytest.mark.parametrize("topic", ["nobody.knows.json", "no topic"])
def test_the_check_names_open_topics_that_nothing_stands_for(settings: object, topic: str) -> None:
    settings.KAFKA_GATEWAY_TOPICS = [NOTES, topic]  # type: ignore[attr-defined]  # pytest-django's
    [found] = check_gateway()
    assert found.id == "kafka.E020"
    assert topic in found.msg


def test_the_check_finds_a_token_in_place_of_its_digest(settings: object) -> None:
    settings.KAFKA_GATEWAY_TOKENS = {"shop": "secret"}  # type: ignore[attr-defined]  # likewise
    [found] = check_gateway()
    assert found.id == "kafka.E021"
    assert "secret" not in found.msg
