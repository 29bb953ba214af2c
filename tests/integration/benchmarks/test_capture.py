"""The benchmark of capture runs, and says what it promises to say."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.integration.conftest import ROOT


def test_the_benchmark_prints_one_json_line(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "benchmarks.capture"]
    command += ["--rounds", "5", "--bulk-rounds", "2", "--rows", "50"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "benchmarks.settings"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('{"benchmark": "capture", ')
    figures = json.loads(done.stdout)
    for kind in ("save", "bare_save", "bulk"):
        published, plain = figures[f"{kind}_ms"]
        assert published > plain > 0, kind
        assert figures[f"{kind}_ratio"] > 1, kind
    # BEGIN, the model's own statement, which stores the events too, COMMIT.
    assert figures["save_round_trips"] == [3, 3]
    assert figures["bare_save_round_trips"] == [3, 1]
    # And the statement of the events, of which a thousand rows need two.
    assert figures["bulk_round_trips"] == [4, 3]
    assert figures["wal_bytes_per_event"] > 100
