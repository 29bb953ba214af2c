"""Wires the app into Django: finds declarations, connects capture, registers checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class KafkaIntegrationConfig(AppConfig):
    """Loads every app's ``events.py`` once all models are there."""

    name = "kafka_integration"
    label = "kafka_integration"
    verbose_name = "Kafka"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  # importing registers the system checks
        from .gateway import checks as gateway_checks  # noqa: F401  # likewise
        from .outbox import bulk, capture

        bulk.install()
        autodiscover_modules("events")
        capture.connect()
