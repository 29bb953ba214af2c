"""Outbox and inbox in Django's admin: read-only, but for retry and discard."""

from __future__ import annotations

from . import holds, inbox, leases, outbox

__all__ = ["holds", "inbox", "leases", "outbox"]
