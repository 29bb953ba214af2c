"""``python -m tests.storm.inbound``, with native services that it may stop."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from devops.native.services import Services

from .. import names, topics
from ..stage import Stage
from ..voice import conclude, say
from . import ledger, report
from .checker import DEAD, Checker, Verdict
from .plan import SESSION_SECONDS, draw
from .source import require_as_planned, sent, wire
from .stream import Item, stream
from .weather import Weather

_SETTINGS = {
    "STORM_INBOUND": "yes",
    "KAFKA_CLIENT_OPTIONS": f"session.timeout.ms={SESSION_SECONDS * 1_000:.0f},"
    "heartbeat.interval.ms=500",
    "KAFKA_HANDLER_BACKOFF_SECONDS": "0.05",
    "KAFKA_HANDLER_BACKOFF_MAX_SECONDS": "0.3",
}


def main() -> int:
    """Do what the command line says; exit code 0 if every promise was kept."""
    options = _parser().parse_args()
    # An exception, so that no frozen process is left behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    began = time.monotonic()
    logs = Path(tempfile.mkdtemp(prefix=f"storm-{options.seed}-"))
    stage = Stage(Services(), names.asked_topics, _SETTINGS)
    stage.prepare(logs / "prepare.log")
    topics.make(stage.broker, [topic + DEAD for topic in stage.topics.values()])
    plan = draw(options.seed, options.events, options.faults)
    items = list(stream(plan.seed, plan.events))
    weather = Weather(stage, plan, items, logs)
    say(f"seed {plan.seed}: about {plan.seconds:.0f} s; logs in {logs}")
    weather.blow()
    verdict, misrecorded = _judge(stage, items)
    seconds = time.monotonic() - began
    visits = weather.guests.visits
    print(report.line(plan.seed, len(weather.done), visits, verdict, seconds), flush=True)
    found = report.wrong(verdict, plan.events)
    found += [*misrecorded, *weather.surprises]
    if len(weather.done) < options.faults:
        found.append(f"only {len(weather.done)} of {options.faults} faults could be carried out")
    return conclude(found, logs, keep=options.keep_logs)


def _judge(stage: Stage, items: Sequence[Item]) -> tuple[Verdict, list[str]]:
    """Compare what was sent with effects, dead letters and the inbox's own records."""
    say("reading the topics and the effects")
    group = names.group(stage.run)
    found = [sent(wire(one)) for one in topics.read(stage.broker, stage.topics.values())]
    require_as_planned(found, items, stage.topics)
    dead = [topic + DEAD for topic in stage.topics.values()]
    letters = [wire(one) for one in topics.read(stage.broker, dead)]
    verdict = Checker(found, group).judge(ledger.effects(stage.database), letters)
    return verdict, list(ledger.misrecorded(ledger.recorded(stage.database, group), found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.storm.inbound", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="draws faults and what is sent")
    parser.add_argument("--events", type=int, default=100_000, help="different ones")
    parser.add_argument("--faults", type=int, default=30, help="how many things go wrong")
    parser.add_argument("--keep-logs", action="store_true", help="keep them after a success too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
