"""The snippets of docs/formats.md do what the page says."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from uuid import UUID, uuid4

import pytest
from django.urls import resolve
from pytest_django import Settings

from kafka_integration.broker.formats import topic_format
from kafka_integration.events.envelope import Message
from kafka_integration.events.registry import Handler, registry
from kafka_integration.inbox.dispatch import Outcome, dispatch
from kafka_integration.inbox.store import Identity

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "formats.md").read_text()
FILES = dict(re.findall(r"^```\w+\n(?:#|//) ([\w./]+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
ID = UUID("664f2b69-5be1-4464-a641-28bc8847b9a2")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Path]:
    """A folder with the files of the page, where its commands were run."""
    settings.KAFKA_SCHEMA_REGISTRY_URL = f"mock://{uuid4().hex}"
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    [protoc] = [command for command in COMMANDS if command.startswith("protoc ")]
    arguments = protoc.split()[1:]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I.", *arguments],
        cwd=tmp_path,
        check=True,
        timeout=120,
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in list(sys.modules):
        if name.partition(".")[0] in {"books", "parcels", "tickets"}:
            del sys.modules[name]


def load(name: str) -> tuple[ModuleType, Handler]:
    with registry.isolated():
        module = importlib.import_module(name)
        [handler] = registry.handlers
    return module, handler


def deliver(handler: Handler, value: bytes, **headers: str) -> Outcome:
    named = [(f"ce_{name}", text.encode()) for name, text in headers.items()]
    found = Message(handler.topic, 0, 1, b"k", value, named)
    return dispatch(found, [handler], Identity(handler.group, "/docs", uuid4().hex), 1)


@pytest.mark.django_db(transaction=True)
def test_old_and_new_tickets(project: Path) -> None:
    module, handler = load("tickets.events")
    assert deliver(handler, b'{"seat": "C7"}', dataversion="1") is Outcome.HANDLED
    assert deliver(handler, b'{"row": "D", "number": 8}', dataversion="2") is Outcome.HANDLED
    assert [(ticket.row, ticket.number) for ticket in module.sold] == [("C", 7), ("D", 8)]


@pytest.mark.django_db(transaction=True)
def test_a_book_in_avro(project: Path) -> None:
    module, handler = load("books.events")
    now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    book = module.BookSold(book_id=ID, price=Decimal("9.90"), sold_at=now)
    assert deliver(handler, topic_format(handler.topic).encode(book, handler.topic))
    assert module.sold == [book]


@pytest.mark.django_db(transaction=True)
def test_a_parcel_in_protobuf(project: Path) -> None:
    module, handler = load("parcels.events")
    now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    parcel = module.ParcelSent(parcel_id=ID, grams=2**40, sent_at=now, stops=["Bern"], note="soft")
    assert deliver(handler, topic_format(handler.topic).encode(parcel, handler.topic))
    assert module.sent == [parcel]


def test_the_urls_of_the_page_lead_to_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("page_urls")
    exec(FILES["shop/urls.py"], vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    addresses = re.findall(r"`(/kafka/[\w./]+)`", PAGE)
    assert len(addresses) == 3
    for address in addresses:
        assert resolve(address, urlconf=module.__name__).app_names == ["kafka_integration"]


def test_the_extras_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    extras = re.findall(r"django-kafka-integration\[(\w+)\]", " ".join(COMMANDS))
    assert extras == ["avro", "protobuf"]
    for extra in extras:
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)


def test_every_python_block_is_run() -> None:
    assert PAGE.count("```python") == len([name for name in FILES if name.endswith(".py")]) == 4
