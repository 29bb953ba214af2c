"""Forgets idempotency keys that no client will send again."""

from __future__ import annotations

from datetime import timedelta

from django.db import router
from django.utils import timezone

from ..models import GatewayReceipt, OutboxEvent


def purge(older_than: timedelta, *, batch_size: int = 1_000) -> int:
    """Delete receipts older than ``older_than``; return how many.

    A key that comes again after that is taken for a new one. Each batch is a statement of its own.
    """
    using = router.db_for_write(OutboxEvent)
    old = GatewayReceipt.objects.using(using).older_than(timezone.now() - older_than)
    done = 0
    while removed := old.forget(batch_size):
        done += removed
    return done
