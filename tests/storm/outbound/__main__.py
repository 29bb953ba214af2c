"""The command line: ``python -m tests.storm.outbound``, with native services that it may stop."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from devops.native.services import Services

from .. import names, topics
from ..stage import Stage
from ..voice import conclude, say
from . import deliveries, ledger, report
from .checker import Checker, Verdict
from .plan import LEASE_SECONDS, draw
from .records import record
from .weather import Weather

AT_LEAST_ONCE, EXACTLY_ONCE = "at-least-once", "exactly-once"


def main() -> int:
    """Do what the command line says; exit code 0 if every promise was kept."""
    options = _parser().parse_args()
    # An exception, so that no frozen process is left behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    began = time.monotonic()
    logs = Path(tempfile.mkdtemp(prefix=f"storm-{options.seed}-"))
    exactly_once = options.mode == EXACTLY_ONCE
    lease = {"KAFKA_RELAY_LEASE_SECONDS": f"{LEASE_SECONDS:g}"}
    stage = Stage(Services(), names.topics, lease)
    # One of the catalogue's topics holds the relays' progress.
    stage.prepare(logs / "prepare.log", catalogue=exactly_once)
    plan = draw(options.seed, options.events, options.faults)
    weather = Weather(stage, plan, exactly_once, logs)
    say(f"seed {plan.seed}: about {plan.seconds:.0f} s; logs in {logs}")
    weather.blow()
    verdict, misrecorded = _judge(stage, exactly_once)
    seconds = time.monotonic() - began
    print(report.line(plan.seed, options.mode, len(weather.done), verdict, seconds), flush=True)
    found = report.wrong(verdict, plan.events, exactly_once)
    found += [*misrecorded, *weather.surprises]
    if len(weather.done) < options.faults:
        found.append(f"only {len(weather.done)} of {options.faults} faults could be carried out")
    return conclude(found, logs, keep=options.keep_logs)


def _judge(stage: Stage, exactly_once: bool) -> tuple[Verdict, list[str]]:
    """Compare ledger and topics, and the outbox's own records with them."""
    say("reading the topics and the ledger")
    committed = ledger.committed(stage.database, stage.topics)
    messages = topics.read(stage.broker, stage.topics.values(), committed_only=exactly_once)
    records = [record(message) for message in messages]
    misrecorded = deliveries.misrecorded(deliveries.sent(stage.database), records)
    return Checker(committed, exactly_once).judge(records), list(misrecorded)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.storm.outbound", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="draws faults, acts and keys")
    parser.add_argument("--events", type=int, default=100_000, help="committed at least")
    parser.add_argument("--faults", type=int, default=30, help="how many things go wrong")
    parser.add_argument("--mode", choices=[AT_LEAST_ONCE, EXACTLY_ONCE], default=AT_LEAST_ONCE)
    parser.add_argument("--keep-logs", action="store_true", help="keep them after a success too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
