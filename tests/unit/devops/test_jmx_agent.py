"""The script that fetches the JMX agent keeps what the checksum names, and nothing else."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

KAFKA = Path(__file__).resolve().parents[3] / "devops" / "kafka"
JAR = b"a jar"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The script beside a checksum of ours, and a curl that gives the file ``served``."""
    shutil.copy(KAFKA / "fetch-jmx-agent.sh", tmp_path)
    name = "jmx_prometheus_javaagent-1.2.3.jar"
    checksum = hashlib.sha256(JAR).hexdigest()
    (tmp_path / "jmx_prometheus_javaagent.sha256").write_text(f"{checksum}  {name}\n")
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(
        f'#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\n'
        f'echo "$3" >> {tmp_path}/asked\ncp {tmp_path}/served "$2"\n'
    )
    curl.chmod(0o755)
    (tmp_path / "jars").mkdir()
    return tmp_path


def fetch(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(folder / "fetch-jmx-agent.sh"), str(folder / "jars")],
        env=os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_right_file_is_kept_and_not_fetched_again(folder: Path) -> None:
    (folder / "served").write_bytes(JAR)
    for _ in range(2):
        done = fetch(folder)
        assert done.returncode == 0, done.stderr
    assert (folder / "jars/jmx_prometheus_javaagent.jar").read_bytes() == JAR
    [url] = (folder / "asked").read_text().splitlines()
    assert url.endswith("/jmx_prometheus_javaagent/1.2.3/jmx_prometheus_javaagent-1.2.3.jar")


def test_another_file_is_refused_and_nothing_of_it_stays(folder: Path) -> None:
    (folder / "served").write_bytes(b"something else")
    done = fetch(folder)
    assert done.returncode == 1
    assert "checksum" in done.stderr
    assert list((folder / "jars").iterdir()) == []


def test_a_file_that_was_spoilt_is_fetched_anew(folder: Path) -> None:
    (folder / "jars/jmx_prometheus_javaagent.jar").write_bytes(b"half a")
    (folder / "served").write_bytes(JAR)
    assert fetch(folder).returncode == 0
    assert (folder / "jars/jmx_prometheus_javaagent.jar").read_bytes() == JAR


def test_a_download_that_fails_is_an_error(folder: Path) -> None:
    assert fetch(folder).returncode != 0
    assert not (folder / "jars/jmx_prometheus_javaagent.jar").exists()
