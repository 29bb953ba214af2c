"""Campaigns, what became of them, and a preview of what they hold."""

from __future__ import annotations
