"""The retrospectives app."""

from __future__ import annotations

from django.apps import AppConfig


class RetrospectivesConfig(AppConfig):
    """Names the app; its ``events.py`` is found by kafka_integration."""

    name = "mediajira.retrospectives"
