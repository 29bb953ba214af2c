"""One wait for all while the database is away."""

from __future__ import annotations

from kafka_integration.inbox.quiet import Quiet


def test_those_who_find_the_same_outage_make_it_no_longer() -> None:
    quiet = Quiet(lambda failures: 10.0 * failures)
    assert quiet.until == 0.0
    for now in (100.0, 100.1, 109.9):
        quiet.trouble(now)
    assert quiet.until == 110.0


def test_each_wait_is_longer_until_something_works() -> None:
    quiet = Quiet(lambda failures: 10.0 * failures)
    quiet.trouble(0.0)
    quiet.trouble(10.0)
    assert quiet.until == 30.0
    quiet.calm()
    quiet.trouble(40.0)
    assert quiet.until == 50.0
