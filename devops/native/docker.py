"""The compose file's services, for machines where a Docker engine answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from . import process
from .folder import REPO

COMPOSE = ("docker", "compose", "-f", "docker-compose.dev.yml")
SERVICES = ("kafka", "postgres", "redis")


def answers() -> bool:
    """Whether an engine and the compose plugin answer, and soon."""
    return shutil.which("docker") is not None and all(
        _succeeds(*words) for words in (("info",), ("compose", "version"))
    )


@contextmanager
def session() -> Iterator[dict[str, str]]:
    """Have the three services up meanwhile; afterwards stop those we started."""
    before = set(_compose("ps", "--services", "--status", "running").split())
    ours = [name for name in SERVICES if name not in before]
    try:
        if ours:
            process.progress(f"starting {', '.join(ours)} with docker compose")
            # A job that ends is not what --wait waits for, so it runs to its end before.
            _compose("up", "jmx-agent")
            _compose("up", "-d", "--wait", "--no-deps", *ours)
        yield environment()
    finally:
        if ours:
            _compose("stop", *ours)


def environment() -> dict[str, str]:
    """Where the compose file publishes its services on this machine."""
    password = os.environ.get("POSTGRES_PASSWORD", "mediajira")
    secret = os.environ.get("REDIS_PASSWORD", "mediajira")
    return {
        "KAFKA_BROKER": "localhost:29092",
        "DATABASE_URL": f"postgres://mediajira:{password}@127.0.0.1:5432/mediajira",
        "CELERY_BROKER_URL": f"redis://:{secret}@127.0.0.1:6379/0",
    }


def _compose(*words: str) -> str:
    """Run docker compose on the compose file."""
    command = process.Command([*COMPOSE, *words], REPO)
    cure = "To do without Docker: python3 -m devops.native run --native -- …"
    return process.finish(command, f"docker compose {words[0]}", cure=cure)


def _succeeds(*words: str) -> bool:
    """Whether a docker command ends well within a few seconds."""
    try:
        done = subprocess.run(["docker", *words], capture_output=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
