"""What happens in the demonstration: saves, transitions and deletes on real models.

Each act says which events it must lead to. These expectations are written by hand, so that they
share nothing with the code that captures and sends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from kafka_integration import KafkaProducerClient
from mediajira.assets import services as assets
from mediajira.campaigns import services as campaigns
from mediajira.retrospectives import services as retrospectives
from mediajira.retrospectives.models import Retrospective

POISON = b'{"asset_id": "not a UUID", "campaign_id": '


@dataclass(frozen=True)
class Expected:
    """One event that must arrive: its topic, and the row that it tells of."""

    topic: str
    subject: str


class StuckError(Exception):
    """Raised when the story cannot go on because an event never had its effect."""


@dataclass
class Story:
    """Tells the story and notes what must follow from it.

    Args:
        patience: seconds to wait for an effect that the next act builds on.
        say: prints one line.
        expected: every event that must arrive, in the order of its cause.
    """

    patience: float
    say: Callable[[str], None]
    expected: list[Expected] = field(default_factory=list)

    def tell(self) -> None:
        """Play all acts.

        Raises:
            StuckError: the retrospective was not opened in time.
        """
        owner = get_user_model().objects.create_user("ada", "ada@example.com")
        campaign_id = self._run_campaign(owner)
        self._look_back(campaign_id)
        self._change_of_mind(owner)
        self._poison()

    def _run_campaign(self, owner: AbstractBaseUser) -> UUID:
        campaign = campaigns.create_campaign(name="Spring launch", owner=owner)
        self._act("create a campaign", "campaign.created.json", campaign.pk)
        campaigns.revise_campaign(campaign_id=campaign.pk, budget=Decimal("12000.00"))
        self._act("give it a budget", "campaign.updated.json", campaign.pk)
        campaigns.activate_campaign(campaign_id=campaign.pk)
        self._act("start it", "campaign.status_changed.json", campaign.pk)
        asset = assets.add_asset(
            campaign=campaign, name="Poster", url="posters/spring.png", owner=owner
        )
        self._act("add a poster", "asset.created.json", asset.pk)
        assets.upload_version(asset_id=asset.pk, url="posters/spring-2.png")
        self._act("upload a better one", "asset.updated.json", asset.pk)
        assets.submit_asset(asset_id=asset.pk)
        self._act("ask for a review", "asset.status_changed.json", asset.pk)
        assets.review_asset(asset_id=asset.pk, approved=True)
        self._act("approve it", "asset.status_changed.json", asset.pk)
        campaigns.complete_campaign(campaign_id=campaign.pk)
        self._act("complete the campaign", "campaign.status_changed.json", campaign.pk)
        assets.delete_asset(asset_id=asset.pk)
        self._act("delete the poster", "asset.deleted.json", asset.pk)
        return campaign.pk

    def _look_back(self, campaign_id: UUID) -> None:
        found = self._await_retrospective(campaign_id)
        self._act("(a handler opened a retrospective)", "retrospective.created.json", found.pk)
        retrospectives.start_retrospective(retrospective_id=found.pk)
        self._act("start the retrospective", "retrospective.updated.json", found.pk)
        retrospectives.complete_retrospective(retrospective_id=found.pk, summary="Posters earlier.")
        self._act("complete it", "retrospective.updated.json", found.pk)
        self.expected.append(Expected("retrospective.completed.json", _subject(found.pk, "retro")))

    def _change_of_mind(self, owner: AbstractBaseUser) -> None:
        campaign = campaigns.create_campaign(name="A passing idea", owner=owner)
        campaign_id = campaign.pk
        self._act("create another campaign", "campaign.created.json", campaign_id)
        campaigns.delete_campaign(campaign_id=campaign_id)
        self._act("delete it", "campaign.deleted.json", campaign_id)

    def _poison(self) -> None:
        with KafkaProducerClient() as producer:
            producer.send_message("asset.updated.json", POISON, key="poison")
        self.say("  a stranger writes broken JSON to asset.updated.json")

    def _act(self, what: str, topic: str, pk: object) -> None:
        self.say(f"  {what}")
        self.expected.append(Expected(topic, _subject(pk, topic)))

    def _await_retrospective(self, campaign_id: UUID) -> Retrospective:
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            found = Retrospective.objects.filter(campaign_id=campaign_id).first()
            if found:
                return found
            time.sleep(0.05)
        raise StuckError(
            f"No handler opened the retrospective within {self.patience:g} s. The event "
            "'campaign.status_changed' did not travel: is the relay running, and the consumer of "
            "group 'retrospectives'?"
        )


def _subject(pk: object, topic: str) -> str:
    labels = {
        "campaign": "campaigns.Campaign",
        "asset": "assets.Asset",
        "retro": "retrospectives.Retrospective",
        "retrospective": "retrospectives.Retrospective",
    }
    return f"{labels[topic.split('.')[0]]}/{pk}"
