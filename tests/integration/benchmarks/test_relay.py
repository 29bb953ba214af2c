"""The relay's benchmark runs, and says what it promises to say."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.integration.conftest import ROOT


def test_the_benchmark_prints_one_json_line(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "benchmarks.relay", "--events", "2000"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "benchmarks.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('{"benchmark":')
    figures = json.loads(done.stdout)
    assert {"events_per_s", "ratio_to_raw", "rss_mb", "wal_bytes_per_event"} <= figures.keys()
    assert figures["events"] == 2000
    assert os.environ["KAFKA_BROKER"]
