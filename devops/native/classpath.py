"""Apache Kafka's jars, resolved by Maven into one class path."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
from pathlib import Path

from . import process
from .errors import MissingProgramError, StepFailedError
from .folder import HERE, Folder, lock

POM = HERE / "pom.xml"
OLDEST_JAVA = 17
JAVA_CURE = "Kafka needs Java 17 or newer. On Debian or Ubuntu: sudo apt-get install {}"


def ensure(folder: Folder) -> Path:
    """The file that holds the class path; Maven runs only if the POM changed."""
    require_java()
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    path = folder.root / f"classpath-{digest}.txt"
    if not _whole(path):
        _resolve(path)
    return path


@functools.cache
def require_java() -> None:
    """Raise unless a new enough Java is on the search path."""
    if shutil.which("java") is None:
        raise MissingProgramError(["java"], JAVA_CURE.format("openjdk-17-jre-headless"))
    told = process.finish(process.Command(["java", "-version"], Path("/")), "java -version")
    version = re.search(r'version "(\d+)', told)
    if version and int(version[1]) < OLDEST_JAVA:
        raise MissingProgramError(
            [f"java {OLDEST_JAVA} (found {version[1]})"],
            JAVA_CURE.format("openjdk-17-jre-headless"),
        )


def _whole(path: Path) -> bool:
    """Whether the cached class path names only jars that are still there."""
    if not path.exists():
        return False
    jars = path.read_text().strip().split(os.pathsep)
    return all(Path(jar).is_file() for jar in jars)


def _resolve(path: Path) -> None:
    """Ask Maven's own cache first, and the network only if that is not enough."""
    if shutil.which("mvn") is None:
        raise MissingProgramError(["mvn"], "On Debian or Ubuntu: sudo apt-get install maven")
    cache = Path.home() / ".m2"
    cache.mkdir(exist_ok=True)
    # Two downloads into one cache at the same time can spoil each other's files.
    with lock(cache):
        try:
            _maven(path, "--offline")
        except StepFailedError:
            process.progress("fetching Apache Kafka's jars with mvn")
            _maven(path)


def _maven(path: Path, *options: str) -> None:
    """Have the dependency plugin write the class path."""
    command = ["mvn", "--batch-mode", "--quiet", *options, f"--file={POM}"]
    goal = ["dependency:build-classpath", f"-Dmdep.outputFile={path}"]
    process.finish(
        process.Command([*command, *goal], POM.parent),
        "mvn dependency:build-classpath",
        cure="Check the network and Maven's settings, then start again.",
    )
