from __future__ import annotations

from django.test import Client
from django.urls import reverse

from mediajira.assets.models import Asset


def test_assets_are_found_by_their_campaign(admin_client: Client, asset: Asset) -> None:
    page = admin_client.get(reverse("admin:assets_asset_changelist"), {"q": "Spring"})
    assert page.context["cl"].result_count == 1


def test_an_asset_is_submitted(admin_client: Client, asset: Asset) -> None:
    picked = {"action": "submit", "_selected_action": [str(asset.pk)]}
    admin_client.post(reverse("admin:assets_asset_changelist"), picked)
    asset.refresh_from_db()
    assert asset.status == "in_review"


def test_an_asset_stays_with_its_campaign(admin_client: Client, asset: Asset) -> None:
    add = admin_client.get(reverse("admin:assets_asset_add"))
    change = admin_client.get(reverse("admin:assets_asset_change", args=[asset.pk]))
    assert "campaign" in add.context["adminform"].form.fields
    assert "campaign" not in change.context["adminform"].form.fields
