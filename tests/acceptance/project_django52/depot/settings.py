"""A small project without Django's admin, sessions and users."""

from __future__ import annotations

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "depot"
DATABASES = {"default": environ.Env().db("DATABASE_URL")}
DEFAULT_AUTO_FIELD = "django.db.models.SmallAutoField"
USE_TZ = True

INSTALLED_APPS = ["kafka_integration", "stock"]

KAFKA_SOURCE = "depot"
KAFKA_TOPICS_FILE = BASE_DIR / "topics.yaml"
