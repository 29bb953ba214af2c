"""The JMX agent that shows a broker's metrics: one jar, by version and checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

from . import process
from .errors import StepFailedError
from .folder import REPO, Folder, lock

RULES = REPO / "devops" / "kafka" / "kafka.yml"
CHECKSUM = REPO / "devops" / "kafka" / "jmx_prometheus_javaagent.sha256"
IN_MAVENS_CACHE = ".m2/repository/io/prometheus/jmx/jmx_prometheus_javaagent/{version}/{name}"
GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


def ensure(folder: Folder) -> Path:
    """The jar, fetched by Maven if it is missing.

    Raises:
        StepFailedError: it cannot be fetched, or is not the one that the checksum names.
    """
    wanted, name = CHECKSUM.read_text().split()
    version = Path(name).stem.rpartition("-")[2]
    # Where Maven usually keeps it; asking Maven takes seconds each time.
    jar = Path.home() / IN_MAVENS_CACHE.format(version=version, name=name)
    if not jar.exists():
        jar = folder.root / name
    if not jar.exists():
        _fetch(jar)
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != wanted:
        raise StepFailedError(f"checking {jar}", 1, found, f"Remove it; {CHECKSUM} has {wanted}.")
    return jar


def _fetch(jar: Path) -> None:
    """Ask Maven's own cache first, and the network only if that is not enough."""
    artifact, _, version = jar.stem.rpartition("-")
    options = (
        f"-Dartifact=io.prometheus.jmx:{artifact}:{version}",
        f"-DoutputDirectory={jar.parent}",
    )
    cache = Path.home() / ".m2"
    cache.mkdir(exist_ok=True)
    with lock(cache):
        try:
            _maven("--offline", *options)
        except StepFailedError:
            process.progress("fetching the JMX agent with mvn")
            _maven(*options)


def _maven(*options: str) -> None:
    command = ["mvn", "--batch-mode", "--quiet", GOAL, *options]
    process.finish(
        process.Command(command, REPO),
        "mvn dependency:copy",
        cure="Check the network and Maven's settings, then start again.",
    )
