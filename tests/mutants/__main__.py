"""The command line: ``python -m tests.mutants``, with services for what needs them.

Exit code 0 if a named test fails for each mistake, 1 if one is not found, 2 if the check itself
cannot go on.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import trial
from .patches import Mutant, MutantError, mutants
from .workbench import mutated, workbench


def main() -> int:
    """Do what the command line says."""
    options = _parser().parse_args()
    # An exception, so that the copy is removed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    began = time.monotonic()
    try:
        chosen = mutants(options.names)
        _require_services(chosen)
        with workbench() as folder:
            _require_sound(folder, chosen, options.seconds)
            survivors = _try_all(folder, chosen, options.seconds)
    except MutantError as error:
        _say(f"mutants: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    _conclude(chosen, survivors, time.monotonic() - began)
    return 1 if survivors else 0


def _require_services(chosen: Sequence[Mutant]) -> None:
    needing = [m.name for m in chosen if any(test.needs_services for test in m.tests)]
    if needing and not os.environ.get("DATABASE_URL"):
        raise MutantError(
            f"{', '.join(needing)} need real services. Run 'make mutants', or name other mutants."
        )


def _require_sound(folder: Path, chosen: Sequence[Mutant], seconds: float) -> None:
    """Make sure that the tests pass without any mistake: else their failure would say nothing."""
    tests = list({test.text: test for mutant in chosen for test in mutant.tests}.values())
    _say(f"{len(tests)} tests without any mistake …")
    ran = trial.run(folder, tests, 2 * seconds)
    if reason := trial.why_not_sound(ran, tests):
        raise MutantError(f"{reason}. Mend that first.\n{ran.tail()}")


def _try_all(folder: Path, chosen: Sequence[Mutant], seconds: float) -> dict[str, str]:
    """Try each mutant; return why some were not killed, by their names."""
    survivors = {}
    for mutant in chosen:
        began = time.monotonic()
        with mutated(folder, mutant):
            ran = trial.run(folder, mutant.tests, seconds)
        reason = trial.why_not_killed(ran, mutant.tests)
        took = time.monotonic() - began
        _say(f"{'SURVIVED' if reason else 'killed':<9}{took:5.1f} s  {mutant.name}  {reason}")
        if reason:
            survivors[mutant.name] = reason
            _say(ran.tail())
    return survivors


def _conclude(chosen: Sequence[Mutant], survivors: dict[str, str], seconds: float) -> None:
    wide = max(len(mutant.name) for mutant in chosen)
    for mutant in chosen:
        word = "SURVIVED" if mutant.name in survivors else "killed"
        print(f"{mutant.name:<{wide}}  {word:<8}  {mutant.breaks}")
    summary = {
        "mutants": len(chosen),
        "killed": len(chosen) - len(survivors),
        "survivors": sorted(survivors),
        "seconds": round(seconds),
    }
    print(json.dumps(summary), flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description="Make mistakes in a copy of the code and see that a named test fails for each.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="only these (files of tests/mutants without .patch)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=trial.SECONDS,
        help="how long the tests of one mistake may take (default: %(default)g)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
