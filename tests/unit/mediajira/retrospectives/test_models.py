from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from mediajira.campaigns.models import Campaign
from mediajira.errors import IllegalTransition
from mediajira.retrospectives.models import Retrospective, RetrospectiveStatus


@pytest.fixture
def retrospective(campaign: Campaign, owner: User) -> Retrospective:
    return Retrospective.objects.create(campaign=campaign, owner=owner)


def test_every_status_has_its_place_on_the_map() -> None:
    assert set(Retrospective.transitions) == set(RetrospectiveStatus)


def test_a_retrospective_runs_its_course(retrospective: Retrospective) -> None:
    retrospective.start()
    retrospective.complete("Start earlier.")
    row = Retrospective.objects.get(pk=retrospective.pk)
    assert (row.status, row.summary) == ("completed", "Start earlier.")
    assert row.completed_at


def test_completion_without_a_summary_keeps_the_one_there_is(retrospective: Retrospective) -> None:
    retrospective.summarise("Start earlier.")
    retrospective.complete()
    assert Retrospective.objects.get(pk=retrospective.pk).summary == "Start earlier."


def test_a_completed_one_is_closed(retrospective: Retrospective) -> None:
    retrospective.complete("Start earlier.")
    with pytest.raises(IllegalTransition, match="this is its end"):
        retrospective.complete("Start later.")
    with pytest.raises(IllegalTransition):
        retrospective.start()
    assert Retrospective.objects.get(pk=retrospective.pk).summary == "Start earlier."


def test_one_that_began_cannot_begin(retrospective: Retrospective) -> None:
    retrospective.start()
    with pytest.raises(IllegalTransition):
        retrospective.start()
