"""The storms in their short forms, on services of their own: every part is killed or frozen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.conftest import ROOT

EVENTS, FAULTS = 3_000, 8


def weathered(folder: Path, name: str, *options: str) -> dict[str, Any]:
    """Run a storm and return its figures."""
    storm = [sys.executable, "-m", f"tests.storm.{name}", "--seed", "11", *options]
    size = ["--events", str(EVENTS), "--faults", str(FAULTS)]
    done = subprocess.run(
        [sys.executable, "-m", "devops.native", "run", "--native", "--", *storm, *size],
        cwd=ROOT,
        env=os.environ | {"MEDIAJIRA_NATIVE_DIR": str(folder / "native")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    assert line.startswith(f'{{"storm": "{name}"')
    figures: dict[str, Any] = json.loads(line)
    assert figures["faults"] == FAULTS
    return figures


def test_nothing_is_lost_or_out_of_order(tmp_path: Path) -> None:
    figures = weathered(tmp_path, "outbound", "--mode", "at-least-once")
    assert figures["committed"] >= EVENTS
    assert (figures["lost"], figures["order_violations"], figures["phantoms"]) == (0, 0, 0)
    assert figures["published"] == figures["committed"] + figures["duplicates"]


def test_each_effect_is_there_once_in_order_and_all_poison_is_a_dead_letter(tmp_path: Path) -> None:
    figures = weathered(tmp_path, "inbound")
    assert (figures["lost"], figures["duplicates"], figures["order_violations"]) == (0, 0, 0)
    assert (figures["phantoms"], figures["missing_letters"], figures["wrong_letters"]) == (0, 0, 0)
    assert figures["events"] == figures["handled"] + figures["poison"] == EVENTS
    assert figures["dead_lettered"] == figures["poison"] > 0
    assert figures["sent"] > EVENTS
    assert figures["guests"] > 0
