from __future__ import annotations

from mediajira import celery_app, settings


def test_celery_takes_its_broker_from_djangos_settings() -> None:
    assert celery_app.conf.broker_url == settings.CELERY_BROKER_URL


def test_celery_is_the_current_app() -> None:
    from celery import current_app

    assert current_app.main == "mediajira"
