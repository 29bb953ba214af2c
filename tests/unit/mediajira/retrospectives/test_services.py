from __future__ import annotations

from uuid import uuid4

from mediajira.campaigns.models import Campaign
from mediajira.retrospectives import services
from mediajira.retrospectives.models import Retrospective


def test_a_campaign_gets_one_retrospective(campaign: Campaign) -> None:
    first = services.open_retrospective(campaign_id=campaign.pk)
    assert first
    assert (first.campaign, first.owner, first.status) == (campaign, campaign.owner, "scheduled")
    assert services.open_retrospective(campaign_id=campaign.pk) is None
    assert Retrospective.objects.count() == 1


def test_a_campaign_that_is_gone_gets_none(db: None) -> None:
    assert services.open_retrospective(campaign_id=uuid4()) is None


def test_a_retrospective_is_held(campaign: Campaign) -> None:
    opened = services.open_retrospective(campaign_id=campaign.pk)
    assert opened
    assert services.start_retrospective(retrospective_id=opened.pk).status == "in_progress"
    done = services.complete_retrospective(retrospective_id=opened.pk, summary="Well done.")
    assert (done.status, done.summary) == ("completed", "Well done.")
