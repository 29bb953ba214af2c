"""The settings of the test run: MediaJira's own, independent of a developer's ``.env``.

``DATABASE_URL``, ``CELERY_BROKER_URL`` and ``KAFKA_BROKER`` of the environment are respected.
"""

from __future__ import annotations

import os

os.environ["MEDIAJIRA_ENV_FILE"] = ""
os.environ.setdefault("SECRET_KEY", "the-tests-own-key-which-protects-nothing-at-all")

from mediajira.settings import *  # noqa: F403  # the environment must be set first

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [*INSTALLED_APPS, "tests.sample", "tests.storm"]  # noqa: F405  # from the star import above

# A second database, for events that must go where their rows go.
DATABASES["other"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}  # noqa: F405  # from the star import above

# The sample's topics are made for one test each, so no catalogue can list them.
SILENCED_SYSTEM_CHECKS = ["kafka.E001", "kafka.E002"]
