"""``manage.py kafka_gateway``."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from kafka_integration.gateway.sender import digest
from kafka_integration.models import GatewayReceipt


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("kafka_gateway", *arguments, stdout=out)
    return out.getvalue()


def test_a_token_is_printed_with_its_entry() -> None:
    first, _, entry = run("token", "shop").splitlines()
    assert entry == f"shop={digest(first.rpartition(' ')[2])}"
    with pytest.raises(CommandError, match="letters"):
        run("token", "a,b")


def test_the_document_is_printed() -> None:
    assert json.loads(run("openapi", "--base", "/x"))["servers"] == [{"url": "/x"}]


def test_old_keys_are_forgotten(db: None) -> None:
    for days in (1, 13, 15, 30):
        GatewayReceipt.objects.create(
            sender="token:shop",
            key=str(days),
            fingerprint="0" * 64,
            answer="{}",
            created_at=timezone.now() - timedelta(days=days),
        )
    assert "Forgot 2 " in run("purge")
    assert set(GatewayReceipt.objects.values_list("key", flat=True)) == {"1", "13"}
    assert "Forgot 1 " in run("purge", "--days", "10")
    for wrong in ("-1", "nan", "soon"):
        with pytest.raises(CommandError, match="no number of days"):
            run("purge", f"--days={wrong}")
