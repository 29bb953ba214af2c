"""Which services a command runs against: given ones, Docker's, or native ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from . import classpath, docker
from .foreground import Foreground
from .services import Services

GIVEN = ("KAFKA_BROKER", "DATABASE_URL", "CELERY_BROKER_URL")


def run(services: Services, command: Sequence[str], native: bool = False) -> int:
    """Run a command against real services and return its exit code."""
    foreground = Foreground()
    foreground.install()
    with _chosen(services, native) as variables:
        try:
            return foreground.run(command, variables)
        finally:
            foreground.close()


@contextmanager
def _chosen(services: Services, native: bool) -> Iterator[dict[str, str]]:
    """The variables of the services that apply, which are up meanwhile."""
    if not native and all(os.environ.get(name) for name in GIVEN):
        yield _tools(services)
    elif not native and docker.answers():
        with docker.session() as variables:
            yield {**variables, **_tools(services)}
    else:
        with services.session() as variables:
            yield variables


def _tools(services: Services) -> dict[str, str]:
    """Kafka's own tools, which tests use whoever runs the broker."""
    services.folder.create()
    return {"KAFKA_CLASSPATH_FILE": str(classpath.ensure(services.folder))}
