from __future__ import annotations

from django.test import Client
from django.urls import reverse

from mediajira.campaigns.models import Campaign
from mediajira.retrospectives.models import Retrospective
from mediajira.retrospectives.services import open_retrospective

LIST = "admin:retrospectives_retrospective_changelist"


def test_a_retrospective_is_started_and_completed(admin_client: Client, campaign: Campaign) -> None:
    opened = open_retrospective(campaign_id=campaign.pk)
    assert opened
    for action, status in (("start", "in_progress"), ("complete", "completed")):
        picked = {"action": action, "_selected_action": [str(opened.pk)]}
        assert admin_client.post(reverse(LIST), picked, follow=True).status_code == 200
        assert Retrospective.objects.get(pk=opened.pk).status == status
