"""MediaJira's settings with the demonstration's own handlers."""

from __future__ import annotations

from mediajira.settings import *  # noqa: F403  # all of them
from mediajira.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "mediajira.demo"]
