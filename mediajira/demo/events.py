"""A handler that fails, for ``--broken-handler``: what a failure looks like."""

from __future__ import annotations

import os
from uuid import UUID

from kafka_integration import Event, EventData, handles

BREAK = "MEDIAJIRA_DEMO_BREAK"


class CampaignRevised(EventData):
    """The campaigns app's CampaignUpdated, as far as it is needed here."""

    event_type = "CampaignUpdated"

    campaign_id: UUID


if os.environ.get(BREAK):

    @handles("campaign.updated.json", CampaignRevised, group="broken")
    def break_down(event: Event[CampaignRevised]) -> None:
        """Fail, as ``--broken-handler`` asks."""
        raise RuntimeError("this handler was asked to fail by --broken-handler")
