"""MediaJira's settings: from the environment, and from ``.env`` beside ``manage.py``.

A variable of the environment wins over the same name in the file. ``.env.example`` lists them
all. ``KAFKA_*`` names that are not here are read by ``kafka_integration.conf`` itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()

# Another file, or none when empty: tests must not depend on a developer's own .env.
_env_file = os.environ.get("MEDIAJIRA_ENV_FILE", str(BASE_DIR / ".env"))
if _env_file and Path(_env_file).is_file():
    env.read_env(_env_file)


def _secret_key(debug: bool) -> str:
    key: str = env.str("SECRET_KEY", default="")
    if key:
        return key
    if debug:
        return "insecure-key-for-development-only-never-serve-anything-real-with-it"
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. For development, copy .env.example to .env or set DEBUG=on; in "
        "production, set SECRET_KEY to fifty random characters."
    )


def _database() -> dict[str, Any]:
    url = env.str("DATABASE_URL", default="") or f"sqlite:///{BASE_DIR / 'mediajira.sqlite3'}"
    found: dict[str, Any] = environ.Env.db_url_config(url)
    if found["ENGINE"] == "django.db.backends.sqlite3":
        found["OPTIONS"] = _SQLITE_OPTIONS | found.get("OPTIONS", {})
    else:
        # Relay and consumers look at the age of their connection between messages; with Django's
        # default of 0 they would connect anew for each one.
        found.setdefault("CONN_MAX_AGE", 60)
        found.setdefault("CONN_HEALTH_CHECKS", True)
        for name in _SWITCHES & found.keys():
            found[name] = str(found[name]).lower() in env.BOOLEAN_TRUE_STRINGS
    return found


# The parser of DATABASE_URL leaves them text, and Django takes the text "false" for true.
_SWITCHES = {"DISABLE_SERVER_SIDE_CURSORS", "CONN_HEALTH_CHECKS", "ATOMIC_REQUESTS"}


# Web server, relay and consumers write to one file: WAL lets readers go on beside a writer, and
# IMMEDIATE makes a transaction wait for the lock at its start, where waiting is possible, and
# not fail half-way with "database is locked".
_SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = _secret_key(DEBUG)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "kafka_integration",
    "mediajira.campaigns",
    "mediajira.assets",
    "mediajira.retrospectives",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "mediajira.urls"
WSGI_APPLICATION = "mediajira.wsgi.application"
ASGI_APPLICATION = "mediajira.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator"},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "build" / "static"

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="redis://localhost:6379/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = TIME_ZONE

KAFKA_SOURCE = env.str("KAFKA_SOURCE", default="mediajira")
KAFKA_CLIENT_ID = env.str("KAFKA_CLIENT_ID", default="mediajira")
KAFKA_DEFAULT_GROUP = env.str("KAFKA_DEFAULT_GROUP", default="mediajira")
KAFKA_TOPICS_FILE = env.str(
    "KAFKA_TOPICS_FILE", default=str(BASE_DIR / "devops" / "kafka" / "topics.yaml")
)


def _log_format() -> str:
    known = {"text": "readable", "json": "json"}
    said = env.str("LOG_FORMAT", default="") or "text"
    if said not in known:
        raise ImproperlyConfigured(f"LOG_FORMAT is {said!r}. Set it to {' or '.join(known)}.")
    return known[said]


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "readable": {
            "format": "{asctime} {levelname:<7} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "kafka_integration.observe.json_log.JsonFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": _log_format()},
    },
    # Django's own handlers beside root's would write each of its lines twice.
    "loggers": {"django": {"handlers": [], "level": "INFO"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
