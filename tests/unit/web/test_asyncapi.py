"""The page that shows the AsyncAPI document."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path
from pytest_django import Settings

from kafka_integration import EventData
from kafka_integration.events.registry import Handler, registry
from kafka_integration.web import asyncapi
from tests.unit.asyncapi.contracts import project, take

URLS = ["/kafka/asyncapi/", "/kafka/asyncapi.json", "/kafka/asyncapi.yaml"]

urlpatterns = [path("kafka/", include("kafka_integration.web.urls"))]


@pytest.fixture
def shown(settings: Settings, client: Client) -> str:
    """The page of a project of every shape."""
    settings.KAFKA_ASYNCAPI_PUBLIC = True
    with registry.isolated():
        declared = project()
        registry.publications, registry.handlers = declared.publications, declared.handlers
        return client.get(URLS[0]).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("url", URLS)
def test_staff_sees_it_and_nobody_else(client: Client, url: str) -> None:
    assert client.get(url).headers["Location"].startswith("/admin/login/?next=/kafka/")
    client.force_login(User.objects.create_user("guest"))
    assert client.get(url).status_code == 403
    client.force_login(User.objects.create_user("chief", is_staff=True))
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("url", URLS)
def test_everybody_sees_it_where_that_is_said(client: Client, settings: Settings, url: str) -> None:
    settings.KAFKA_ASYNCAPI_PUBLIC = True
    assert client.get(url).status_code == 200
    assert client.post(url).status_code == 405


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__, LOGIN_URL="/enter/")
def test_a_project_without_the_admin_has_its_own_login(client: Client) -> None:
    assert client.get(URLS[0]).headers["Location"].startswith("/enter/?next=/kafka/")


def test_a_project_that_knows_no_users_shows_nothing(rf: RequestFactory) -> None:
    from django.core.exceptions import PermissionDenied

    with pytest.raises(PermissionDenied, match="KAFKA_ASYNCAPI_PUBLIC"):
        asyncapi.page(rf.get(URLS[0]))


def test_it_names_topics_types_groups_and_fields(shown: str) -> None:
    for word in (
        "order.placed.json",
        "A customer ordered.",
        "ce_dataversion: 2",
        "<code>books</code>",
        "<code>lines[].price</code>",
        "string (uuid)",
        "What the customer wrote.",
        "order.placed.json.dlq",
    ):
        assert word in shown


def test_it_needs_no_other_host_and_no_script(shown: str) -> None:
    assert "<script" not in shown
    links = re.findall(r'(?:src|href)="([^"]+)"', shown)
    assert links
    assert [link for link in links if not link.startswith(("/", "#"))] == []
    style = finders.find("kafka_integration/asyncapi.css")
    assert isinstance(style, str)
    assert "url(" not in Path(style).read_text()
    assert "@import" not in Path(style).read_text()


def test_what_a_contract_says_cannot_become_markup(client: Client, settings: Settings) -> None:
    class Sly(EventData):
        """<script>alert(1)</script>"""

    settings.KAFKA_ASYNCAPI_PUBLIC = True
    with registry.isolated():
        registry.handlers.append(Handler("sly.thing.json", Sly, "books", take))
        text = client.get(URLS[0]).content.decode()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_project_without_events_says_so(client: Client, settings: Settings) -> None:
    settings.KAFKA_ASYNCAPI_PUBLIC = True
    with registry.isolated():
        assert "declares no event yet" in client.get(URLS[0]).content.decode()


def test_files_are_the_document(client: Client, settings: Settings) -> None:
    settings.KAFKA_ASYNCAPI_PUBLIC = True
    as_json = json.loads(client.get(URLS[1]).content)
    assert as_json["asyncapi"] == "3.0.0"
    assert yaml.safe_load(client.get(URLS[2]).content) == as_json
