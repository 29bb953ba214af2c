"""One writer in a process of its own: ``python -m tests.storm.outbound.writing``, until SIGTERM.

It writes a burst at each beat. When the database goes away it waits and goes on; whether its last
commit was one is the ledger's to say.
"""

from __future__ import annotations

import argparse
import logging
import signal
import time
from random import Random
from threading import Event as Flag

import django
from django.db import InterfaceError, OperationalError, connection

from ..tracks import allowed
from .writer import Writer

log = logging.getLogger("tests.storm.writer")

_PAUSE = 0.2


def main() -> None:
    """Parse, set up Django, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="begins the keys that are its own")
    parser.add_argument("--seed", required=True, help="draws its acts")
    parser.add_argument("--burst", type=int, required=True, help="events at each beat")
    parser.add_argument("--began", type=float, required=True, help="the storm's begin, Unix time")
    options = parser.parse_args()
    stop = Flag()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    django.setup()
    run(options.name, Random(options.seed), options.burst, options.began, stop)  # repeatable


def run(name: str, rng: Random, burst: int, began: float, stop: Flag) -> None:
    """Write until told to stop.

    Args:
        name: of the writer.
        rng: draws its acts.
        burst: events at each beat.
        began: when the storm began, Unix time.
        stop: set when it is to end.
    """
    from .acts import ACTS, prepare  # models need a Django that is set up

    writer = Writer(name, max(5, burst // 8), rng)
    acts, weights = list(ACTS), list(ACTS.values())
    ready, written = False, allowed(time.time() - began, burst) - burst
    while not stop.is_set():
        if written >= allowed(time.time() - began, burst):
            stop.wait(0.02)
            continue
        [act] = rng.choices(acts, weights)
        try:
            if not ready:
                prepare(writer)
                ready = True
            written += act(writer)
        except (OperationalError, InterfaceError) as error:
            log.warning("%s: %s", act.__name__, " ".join(str(error).split()))
            connection.close()
            stop.wait(_PAUSE)


if __name__ == "__main__":
    main()
