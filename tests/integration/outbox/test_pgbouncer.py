"""Relays, writers and consumers that all share three sessions of PostgreSQL by way of PgBouncer."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from devops.native.services import Services
from tests.integration.conftest import Record
from tests.integration.outbox.conftest import Exactly, Watched, each_once, numbers_by_key
from tests.integration.outbox.pool import SESSIONS, Pool, make_database, pooled_postgres
from tests.integration.outbox.pool_writer import LANES, NEVER
from tests.integration.outbox.statements import outliving, sent_to

Eventually = Callable[..., None]
Read = Callable[..., list[Record]]

WRITERS = 3

_WRITER = "tests.integration.outbox.pool_writer"
_COMMITTED = "SELECT lane, array_agg(number ORDER BY id) FROM sample_sample GROUP BY lane"
_HOLDERS = (
    "SELECT DISTINCT split_part(owner, ':', 2)::int FROM kafka_outbox_lease WHERE owner <> ''"
)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """PostgreSQL with PgBouncer before it."""
    with pooled_postgres(tmp_path_factory.mktemp("pooled")) as found:
        yield found


@pytest.fixture
def pool(services: Services, topic: str) -> Iterator[Pool]:
    """A database behind PgBouncer, with the tables."""
    found = Pool(services, make_database(services), topic)
    try:
        found.finish("migrate", "--run-syncdb", "-v0")
        yield found
    finally:
        found.end()


@pytest.fixture(params=[False, True], ids=["at-least-once", "exactly-once"])
def mode(exactly: Exactly, request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of relays in either mode."""
    return exactly.env if request.param else {}


def hold(pool: Pool, *relays: Watched) -> bool:
    """Tell whether exactly these relays hold shards, and each of them does."""
    return {pid for (pid,) in pool.sql(_HOLDERS)} == {relay.process.pid for relay in relays}


def published(relay: Watched) -> int:
    """Return how many events a relay says that it has published so far."""
    said = re.findall(r"Published ([\d,]+) events? in", "".join(relay.lines))
    return int(said[-1].replace(",", "")) if said else 0


def test_two_relays_lose_nothing_and_keep_order_whatever_dies(
    pool: Pool, mode: dict[str, str], read_published: Read, eventually: Eventually
) -> None:
    pool.finish("shell", "-c", f"from {_WRITER} import *; make_lanes()")
    killed, stopped = (pool.run("kafka_relay", "--batch-size", "20", **mode) for _ in range(2))
    eventually(lambda: hold(pool, killed, stopped), 60, "both relays hold shards")
    write = f"from {_WRITER} import *; write_until_stopped(%d)"
    writers = [pool.run("shell", "-c", write % number) for number in range(WRITERS)]
    go_on(eventually, writers, killed, stopped)
    assert pool.clients() > SESSIONS >= pool.sessions()

    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    restarted = pool.run("kafka_relay", "--batch-size", "20", **mode)
    eventually(lambda: hold(pool, restarted, stopped), 60, "it took back what it had held")
    go_on(eventually, writers, restarted, stopped)

    address = pool.url("pgbouncer")
    pool.services.stop("pgbouncer", signal.SIGKILL)
    pool.services.start("pgbouncer")
    assert pool.url("pgbouncer") == address
    go_on(eventually, writers, restarted, stopped)

    assert stopped.end(signal.SIGTERM, 60) == 0, "".join(stopped.lines)
    eventually(lambda: hold(pool, restarted), 60, "the other has its shards")
    go_on(eventually, writers, restarted)
    for writer in writers:
        assert writer.end(signal.SIGTERM, 60) == 0, "".join(writer.lines)
    pool.finish("kafka_relay", "--drain", "--timeout", "120", **mode)
    assert restarted.end(signal.SIGTERM, 60) == 0, "".join(restarted.lines)

    is_all_there(pool, read_published(pool.topic), exactly_once=bool(mode))


def go_on(eventually: Eventually, writers: Sequence[Watched], *relays: Watched) -> None:
    """Wait until each relay has published since now: more by its second report than its first."""

    def has_passed(relay: Watched, count: int) -> bool:
        dead = [writer.lines for writer in writers if writer.process.poll() is not None]
        assert not dead, f"writers have ended: {dead}"
        assert relay.process.poll() is None, f"a relay has ended: {relay.lines}"
        return published(relay) > count

    for _ in range(2):
        before = {relay.process.pid: published(relay) for relay in relays}
        for relay in relays:
            at = before[relay.process.pid]
            eventually(lambda relay=relay, at=at: has_passed(relay, at), 120, f"{relay.lines[-3:]}")


def is_all_there(pool: Pool, records: Sequence[Record], *, exactly_once: bool) -> None:
    """Check that the topic has what was committed, all of it, in order and nothing else."""
    committed: dict[str, Any] = dict(pool.sql(_COMMITTED))
    for lane in LANES:
        assert committed[lane] == list(range(1, len(committed[lane]) + 1))
    assert NEVER not in committed
    assert (each_once if exactly_once else numbers_by_key)(records) == committed
    # A rolled back event would share its lane and number with a later one, but not its id.
    events = {record.headers["ce_id"] for record in records}
    assert len(events) == sum(map(len, committed.values()))
    assert pool.sql("SELECT count(*) FROM kafka_outbox_queue") == [(0,)]
    assert pool.sql("SELECT count(*) FROM kafka_outbox_hold") == [(0,)]
    assert pool.sql("SELECT count(*) FROM kafka_outbox_delivery") == [(len(events),)]


def test_a_consumer_handles_each_event_once(pool: Pool) -> None:
    save = "from tests.sample.models import Sample\n" + (
        "for n in range(100): Sample(lane=f'lane-{n % 5}', number=n).save()"
    )
    pool.finish("shell", "-c", save)
    pool.finish("kafka_relay", "--drain", "--timeout", "120")
    own = {"KAFKA_GROUP_PREFIX": f"{pool.name}-", "KAFKA_CLIENT_OPTIONS": "session.timeout.ms=6000"}
    first = pool.run("kafka_consume", "--group", "sample", SAMPLE_PAUSE="0.05", **own)
    first.says("Group sample reads")

    def handled() -> int:
        [(count,)] = pool.sql("SELECT count(*) FROM sample_effect")
        return int(count)

    while handled() < 10:
        assert first.process.poll() is None, first.lines
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    assert handled() < 100
    pool.finish("kafka_consume", "--group", "sample", "--drain", **own)

    found = pool.sql("SELECT lane, array_agg(number ORDER BY id) FROM sample_effect GROUP BY lane")
    assert dict(found) == {f"lane-{lane}": list(range(lane, 100, 5)) for lane in range(5)}


SAVE = (
    "from tests.sample.models import Sample\nfor n in range(20): Sample(lane='a', number=n).save()"
)


def logged(pool: Pool) -> list[tuple[str, str]]:
    """Return what was sent to PostgreSQL for this database."""
    return sent_to(pool.services.folder.log("postgres"), pool.name)


def test_nothing_that_outlives_a_transaction_is_sent_to_the_database(
    pool: Pool, exactly: Exactly, make_topic: Callable[..., str]
) -> None:
    own, narrow = {"KAFKA_GROUP_PREFIX": f"{pool.name}-"}, make_topic(max_message_bytes="100")
    pool.finish("shell", "-c", SAVE)
    pool.finish("kafka_relay", "--drain", "--timeout", "120")
    pool.finish("kafka_consume", "--group", "sample", "--drain", **own)
    pool.finish("shell", "-c", SAVE)
    pool.finish("kafka_relay", "--drain", "--timeout", "120", **exactly.env)
    for _ in range(2):  # each event is too large, and so the key is held
        pool.finish("shell", "-c", SAVE, SAMPLE_TOPIC=narrow)
        pool.finish("kafka_relay", "--drain", "--timeout", "120")
    pool.finish("kafka_outbox", "stats")
    pool.finish("kafka_outbox", "retry", "--topic", narrow)
    pool.finish("kafka_outbox", "discard", "--topic", narrow, "--yes")
    pool.finish("kafka_outbox", "reshard", "4")
    pool.finish("kafka_outbox", "replay", "--topic", pool.topic)
    pool.finish("kafka_outbox", "audit", "--topic", pool.topic)
    pool.finish("kafka_outbox", "purge")

    statements = logged(pool)
    text = "\n".join(statement for _, statement in statements)
    for known in ("pg_current_snapshot", "COPY kafka_outbox_delivery", "kafka_outbox_manifest"):
        assert known in text, f"the log lacks {known}: it does not tell what was sent"
    assert outliving(statements) == {}


_OUTLIVING = {
    "a prepared statement": "c.cursor().execute('PREPARE one AS SELECT 1')",
    "a server-side cursor": "list(Sample.objects.iterator())",
    "LISTEN": "c.cursor().execute('LISTEN outbox')",
    "a setting of the session": "c.cursor().execute('SET lock_timeout = 1000')",
    "a session's advisory lock": "c.cursor().execute('SELECT pg_advisory_lock(1, 2)')",
    "a temporary table": "c.cursor().execute('CREATE TEMPORARY TABLE one (id int)')",
}


@pytest.mark.parametrize("kind", _OUTLIVING)
def test_the_log_tells_what_would_outlive_a_transaction(pool: Pool, kind: str) -> None:
    imports = "from django.db import connection as c; from tests.sample.models import Sample; "
    pool.finish("shell", "-c", imports + _OUTLIVING[kind], DATABASE_URL=pool.url("postgres"))
    assert set(outliving(logged(pool))) == {kind}


def test_the_log_tells_statements_that_the_driver_prepares(pool: Pool) -> None:
    code = (
        "import psycopg; from django.db import connection as c; c.ensure_connection(); "
        "c.connection.prepare_threshold = 0; "  # what Django switches off
        "psycopg.Cursor(c.connection).execute('SELECT 1')"
    )
    pool.finish("shell", "-c", code, DATABASE_URL=pool.url("postgres"))
    assert set(outliving(logged(pool))) == {"a prepared statement"}
