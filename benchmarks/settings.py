"""MediaJira's settings for benchmarks: a database of their own name, topics of their own."""

from __future__ import annotations

import os

os.environ["MEDIAJIRA_ENV_FILE"] = ""
os.environ.setdefault("SECRET_KEY", "the-benchmarks-own-key-which-protects-nothing-at-all")

from mediajira.settings import *  # noqa: F403  # the environment must be set first

KAFKA_TOPICS_FILE = ""
SILENCED_SYSTEM_CHECKS = ["kafka.W001"]  # which says that there is no such file
