from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from mediajira.campaigns.models import Campaign, CampaignStatus
from mediajira.errors import IllegalTransition

VERBS = {
    "activate": CampaignStatus.ACTIVE,
    "pause": CampaignStatus.PAUSED,
    "complete": CampaignStatus.COMPLETED,
    "archive": CampaignStatus.ARCHIVED,
}
LEGAL = {
    ("draft", "activate"),
    ("draft", "archive"),
    ("active", "pause"),
    ("active", "complete"),
    ("paused", "activate"),
    ("paused", "complete"),
    ("paused", "archive"),
    ("completed", "archive"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", CampaignStatus.values)
def test_each_verb_from_each_status(owner: User, status: str, verb: str) -> None:
    campaign = Campaign.objects.create(name="Spring", owner=owner, status=status)
    if (status, verb) in LEGAL:
        getattr(campaign, verb)()
        expected = VERBS[verb].value
    else:
        with pytest.raises(IllegalTransition):
            getattr(campaign, verb)()
        expected = status
    campaign.refresh_from_db()
    assert campaign.status == expected


def test_every_status_has_its_place_on_the_map() -> None:
    assert set(Campaign.transitions) == set(CampaignStatus)


def test_a_refusal_says_what_is_possible(campaign: Campaign) -> None:
    with pytest.raises(IllegalTransition) as caught:
        campaign.complete()
    text = str(caught.value)
    assert text == (
        "Campaign 'Spring' is draft and cannot become completed. "
        "From here it can become active, archived."
    )


def test_the_row_decides_and_not_an_old_instance(campaign: Campaign) -> None:
    old = Campaign.objects.get(pk=campaign.pk)
    campaign.activate()
    campaign.complete()
    with pytest.raises(IllegalTransition):
        old.activate()
    assert old.status == "completed"


def test_a_verb_writes_no_column_but_its_own(campaign: Campaign) -> None:
    old = Campaign.objects.get(pk=campaign.pk)
    campaign.revise(name="Summer")
    old.activate()
    row = Campaign.objects.get(pk=campaign.pk)
    assert (row.name, row.status) == ("Summer", "active")


def test_a_verb_marks_the_time(campaign: Campaign) -> None:
    before = campaign.updated_at
    campaign.activate()
    assert Campaign.objects.get(pk=campaign.pk).updated_at > before
