"""Debian packages: found by their programs, installed when we may."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import pgbouncer, postgres, process
from .errors import MissingProgramError
from .folder import lock

APT_LISTS = Path("/var/lib/apt")
POLICY = Path("/usr/sbin/policy-rc.d")
CLUSTERS = Path("/etc/postgresql-common/createcluster.d")


def missing() -> list[str]:
    """The packages whose programs are not there."""
    found = {
        "postgresql": postgres.programs() is not None,
        "redis-server": shutil.which("redis-server") is not None,
        "kcat": shutil.which("kcat") is not None,
        "pgbouncer": pgbouncer.program() is not None,
        # promtool, which tests the alert rules, comes with the server.
        "prometheus": shutil.which("promtool") is not None,
    }
    return [package for package, present in found.items() if not present]


def ensure() -> None:
    """Install what is missing, or say what to install."""
    if not missing():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        absent = missing()
        cure = f"Install them, on Debian or Ubuntu: sudo apt-get install {' '.join(absent)}"
        raise MissingProgramError(absent, cure)
    # Another copy of the repository may be installing at this moment.
    with lock(APT_LISTS):
        if absent := missing():
            _install(absent)


def _install(absent: Sequence[str]) -> None:
    """Fetch the lists, then the packages, with no service started on the way."""
    process.progress(f"installing {', '.join(absent)} with apt-get")
    _apt("update")
    with _no_services(), ExitStack() as stack:
        if "postgresql" in absent:
            _apt("install", "--no-install-recommends", "postgresql-common")
            stack.enter_context(_no_cluster())
        _apt("install", "--no-install-recommends", *absent)
    if still := missing():
        raise MissingProgramError(still, f"Install them by hand: apt-get install {' '.join(still)}")


def _apt(*args: str) -> None:
    """Run apt-get without questions, waiting for other users of dpkg."""
    command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", *args]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    process.finish(
        process.Command(command, Path("/"), environment=environment),
        f"apt-get {' '.join(args)}",
        cure="Run it by hand to see why, then start again.",
    )


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting services on their default ports meanwhile."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


@contextmanager
def _no_cluster() -> Iterator[None]:
    """Keep the package from making a cluster that would start at the next boot."""
    CLUSTERS.mkdir(exist_ok=True)
    setting = CLUSTERS / "mediajira-native.conf"
    setting.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        setting.unlink(missing_ok=True)
