"""The storm in its short form, on services of its own: every part is killed or frozen by a seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.integration.conftest import ROOT

EVENTS, FAULTS = 3_000, 8


def test_nothing_is_lost_or_out_of_order(tmp_path: Path) -> None:
    storm = [
        sys.executable,
        "-m",
        "tests.storm.outbound",
        "--seed",
        "11",
        "--mode",
        "at-least-once",
    ]
    size = ["--events", str(EVENTS), "--faults", str(FAULTS)]
    done = subprocess.run(
        [sys.executable, "-m", "devops.native", "run", "--native", "--", *storm, *size],
        cwd=ROOT,
        env=os.environ | {"MEDIAJIRA_NATIVE_DIR": str(tmp_path / "native")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    figures = json.loads(line)
    assert line.startswith('{"storm": "outbound"')
    assert figures["faults"] == FAULTS
    assert figures["committed"] >= EVENTS
    assert (figures["lost"], figures["order_violations"], figures["phantoms"]) == (0, 0, 0)
    assert figures["published"] == figures["committed"] + figures["duplicates"]
