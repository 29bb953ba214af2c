from __future__ import annotations

from django.test import Client


def test_the_front_page_leads_to_the_admin(client: Client) -> None:
    response = client.get("/")
    assert response.status_code == 302
    assert response.headers["Location"] == "/admin/"
