"""The wheel does the main job in projects that are not ours."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from .project import Kind, Project, make, new_database

KINDS = {
    "django42": Kind(
        template="project_django42",
        settings="press.settings",
        packages=("django~=4.2.0", "psycopg2-binary", "django-fsm>=3,<4"),
        versions=("4.2", "psycopg 2"),
        app="newsroom",
        group="printing",
        topic="article.published.json",
        effect="SELECT article_id::text, headline FROM newsroom_edition",
        headline="Rain at last",
    ),
    "django52": Kind(
        template="project_django52",
        settings="depot.settings",
        packages=("django~=5.2.0", "psycopg[binary]>=3.2,<4"),
        versions=("5.2", "psycopg 3"),
        app="stock",
        group="shipping",
        topic="parcel.packed.json",
        effect="SELECT parcel_id::text, address FROM stock_shipment",
        headline="1 Harbour Road",
    ),
}

VERSIONS = """
import django
from django.db.backends.postgresql.psycopg_any import is_psycopg3
print(".".join(map(str, django.VERSION[:2])), "psycopg", 3 if is_psycopg3 else 2, sep=" ")
"""

IMPORTS = """
import django
django.setup()
import kafka_integration
for name in kafka_integration.__all__:
    getattr(kafka_integration, name)
"""

# Everything is rolled back, so that other tests find the database as it was.
ADMIN = """
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from kafka_integration.models import InboxRecord, OutboxEvent
from newsroom.models import Article

with transaction.atomic():
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    article = Article.objects.create(headline="Seen in the admin", state="published")
    event = OutboxEvent.objects.get(key=article.pk)
    record = InboxRecord.objects.create(
        group="g", source="s", event_id="e", topic="article.seen.json", partition=0, offset=0
    )
    for model, row, shown in (
        ("outboxevent", event, "article.published"), ("inboxrecord", record, "article.seen.json")
    ):
        for page in ("", f"{row.pk}/change/"):
            answer = client.get(f"/admin/kafka_integration/{model}/{page}")
            assert answer.status_code == 200, (model, page, answer.status_code)
            assert shown in answer.content.decode(), (model, page)
    transaction.set_rollback(True)
print("seen")
"""


@pytest.fixture(scope="session")
def projects(
    real_services: None, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Project]]:
    """Both projects, installed side by side since that takes longest."""
    folder = tmp_path_factory.mktemp("projects")
    with ExitStack() as databases, ThreadPoolExecutor() as pool:
        making = {
            name: pool.submit(
                make, kind, folder / name, databases.enter_context(new_database()), wheel
            )
            for name, kind in KINDS.items()
        }
        made = {name: future.result() for name, future in making.items()}
        for project in made.values():
            project.manage("makemigrations", project.kind.app)
            project.manage("migrate")
        yield made


@pytest.fixture(params=list(KINDS))
def project(request: pytest.FixtureRequest, projects: dict[str, Project]) -> Project:
    """One of the two."""
    return projects[request.param]


def test_the_wheel_holds_the_app_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "kafka_integration",
        "django_kafka_integration-0.1.0.dist-info",
    }
    needed = {
        "py.typed",
        "migrations/0001_initial.py",
        "management/commands/kafka_consume.py",
        "management/commands/kafka_relay.py",
        "management/commands/kafka_topics.py",
        "static/kafka_integration/admin.css",
        "static/kafka_integration/asyncapi.css",
        "templates/admin/kafka_integration/confirmation.html",
        "templates/kafka_integration/asyncapi.html",
    }
    assert {f"kafka_integration/{name}" for name in needed} <= set(names)
    assert not [name for name in names if "test" in name or name.endswith((".pyc", ".sqlite3"))]


def test_the_project_runs_on_what_it_is_named_for(project: Project) -> None:
    assert project.run("-c", VERSIONS).strip() == " ".join(project.kind.versions)
    where = "import kafka_integration; print(kafka_integration.__file__)"
    assert project.run("-c", where).startswith(str(project.folder / "venv"))


def test_importing_the_package_warns_of_nothing(project: Project) -> None:
    assert project.run("-W", "error", "-c", "import kafka_integration") == ""
    # django-fsm 3 says at its own import that it has moved to viewflow.
    strict = ("-W", "error", "-W", "ignore:The 'django-fsm' package:UserWarning")
    assert project.run(*strict, "-c", IMPORTS) == ""
    assert "no issues" in project.run(*strict, "manage.py", "check")


def test_our_migrations_are_complete(project: Project) -> None:
    assert "No changes detected" in project.manage("makemigrations", "--check", "--dry-run")


def test_a_saved_model_reaches_a_handler(project: Project) -> None:
    kind = project.kind
    assert "no issues" in project.manage("check", "--fail-level", "WARNING")
    assert project.topic in project.manage("kafka_topics", "apply")

    key = project.run("work.py").split()[-1]
    assert "Published 1 event " in project.manage("kafka_relay", "--drain")
    assert project.query(kind.effect) == []
    handled = project.manage("kafka_consume", "--group", kind.group, "--drain")

    assert "1 handled, 0 duplicate, 0 ignored, 0 dead" in handled
    assert project.query(kind.effect) == [(key, kind.headline)]
    published = "SELECT topic, key FROM kafka_outbox_event"
    assert project.query(published) == [(project.topic, key)]


def test_the_admin_shows_outbox_and_inbox(projects: dict[str, Project]) -> None:
    project = projects["django42"]
    assert project.manage("shell", "-c", ADMIN).endswith("seen\n")
