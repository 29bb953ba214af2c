"""The assets app."""

from __future__ import annotations

from django.apps import AppConfig


class AssetsConfig(AppConfig):
    """Names the app; its ``events.py`` is found by kafka_integration."""

    name = "mediajira.assets"
