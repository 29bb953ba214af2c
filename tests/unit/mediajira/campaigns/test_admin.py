from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mediajira.campaigns.models import Campaign, CampaignPreview, TimelineEntry

LIST = "admin:campaigns_campaign_changelist"


def act(client: Client, action: str, *campaigns: Campaign) -> list[str]:
    """Run an action of the list on these campaigns; return the messages that the page shows."""
    picked = {"action": action, "_selected_action": [str(found.pk) for found in campaigns]}
    response = client.post(reverse(LIST), picked, follow=True)
    return [str(message) for message in response.context["messages"]]


@pytest.mark.parametrize("model", ["campaign", "timelineentry", "campaignpreview"])
def test_the_lists_open(admin_client: Client, campaign: Campaign, model: str) -> None:
    TimelineEntry.objects.create(
        campaign_id=campaign.pk, what="X", text="It began.", happened_at=timezone.now()
    )
    CampaignPreview.objects.create(campaign_id=campaign.pk)
    url = reverse(f"admin:campaigns_{model}_changelist")
    page = admin_client.get(url, {"q": str(campaign.pk)})
    assert page.status_code == 200
    assert page.context["cl"].result_count == 1


def test_an_action_moves_each_campaign(admin_client: Client, campaign: Campaign) -> None:
    assert act(admin_client, "activate", campaign) == ["Activate: 1 campaign."]
    campaign.refresh_from_db()
    assert campaign.status == "active"


def test_a_refusal_is_shown_and_the_others_go_on(
    admin_client: Client, campaign: Campaign, owner: User
) -> None:
    running = Campaign.objects.create(name="Autumn", owner=owner, status="active")
    shown = act(admin_client, "pause", campaign, running)
    assert "Campaign 'Spring' is draft and cannot become paused." in " ".join(shown)
    assert "Pause: 1 campaign." in shown
    running.refresh_from_db()
    assert running.status == "paused"


def test_actions_need_the_permission(client: Client, campaign: Campaign) -> None:
    client.force_login(User.objects.create_user("guest", is_staff=True))
    assert client.post(reverse(LIST), {"action": "activate"}).status_code == 403
    campaign.refresh_from_db()
    assert campaign.status == "draft"


def test_an_old_form_does_not_undo_a_verb(
    admin_client: Client, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mediajira.campaigns.admin import CampaignAdmin

    original = CampaignAdmin.save_model

    def activate_meanwhile(self: CampaignAdmin, *args: object) -> None:
        Campaign.objects.get(pk=campaign.pk).activate()
        original(self, *args)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(CampaignAdmin, "save_model", activate_meanwhile)
    form = {"name": "Summer", "description": "", "budget": "0.00", "owner": campaign.owner_id}
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    assert admin_client.post(url, form).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.name, campaign.status) == ("Summer", "active")


def test_a_new_campaign_is_added(admin_client: Client, owner: User) -> None:
    form = {"name": "Winter", "description": "", "budget": "5.00", "owner": owner.pk}
    assert admin_client.post(reverse("admin:campaigns_campaign_add"), form).status_code == 302
    assert Campaign.objects.get().name == "Winter"


def test_history_is_read_only(admin_client: Client) -> None:
    assert admin_client.get(reverse("admin:campaigns_timelineentry_add")).status_code == 403
