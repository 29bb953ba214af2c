"""Why events do not go out, each reason with its cure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ..broker.admin import TopicAdmin
from ..conf import settings
from ..errors import BrokerError
from ..readable import counted
from .backlog_report import BacklogReport, Lease
from .sessions import Session, Sessions

_PATIENCE = 3.0
_LONG_OPEN = 10.0
_OLD_HORIZON = 100_000


@dataclass(frozen=True)
class Finding:
    """One reason.

    Args:
        kind: a word for programs: ``topic-missing``, ``broker``, ``hold``, ``later``,
            ``no-relay``, ``disabled``, ``session``, ``horizon`` or ``hidden``.
        what: what is so.
        cure: what can be done.
    """

    kind: str
    what: str
    cure: str


@dataclass(frozen=True)
class Kafka:
    """What Kafka says of the topics of what waits: which are missing, or why it cannot tell."""

    missing: frozenset[str] = frozenset()
    problem: str = ""


def ask_kafka(report: BacklogReport) -> Kafka:
    """Ask Kafka for the topics of what waits; that takes three seconds at most for each."""
    topics = [str(waiting.name) for waiting in report.by_topic]
    if not topics:
        return Kafka()
    try:
        return Kafka(frozenset(TopicAdmin(_PATIENCE).missing(topics)))
    except BrokerError as error:
        return Kafka(problem=str(error))


def diagnose(
    report: BacklogReport, found: Sessions | None, kafka: Kafka, now: datetime
) -> list[Finding]:
    """Return why events wait, or why they might soon.

    Args:
        report: what waits.
        found: the database's sessions, or None where they cannot be seen.
        kafka: what Kafka says.
        now: the present time.
    """
    return [
        *_relays(report),
        *_topics(report, kafka),
        *_holds(report),
        *_later(report, now),
        *(_database(found) if found else ()),
    ]


def _relays(report: BacklogReport) -> Iterator[Finding]:
    led = {lease.shard for lease in report.leases if lease.owner}
    alone = [waiting for waiting in report.by_shard if waiting.name not in led]
    alone = [waiting for waiting in alone if waiting.events > waiting.held]
    if not alone:
        return
    if not settings.enabled:
        yield Finding(
            "disabled",
            "KAFKA_ENABLED is false here, and no relay starts where it is.",
            "Set it to true where events are to be sent.",
        )
    shards = ranges([int(waiting.name) for waiting in alone])
    events = sum(waiting.events - waiting.held for waiting in alone)
    yield Finding(
        "no-relay",
        f"No relay holds the lease of shard {shards}, where {counted(events, 'event')} "
        f"{'waits' if events == 1 else 'wait'}.",
        f"Start one with 'manage.py kafka_relay'. {_last_heard(report.leases)}",
    )


def _last_heard(leases: tuple[Lease, ...]) -> str:
    if any(lease.owner for lease in leases):
        return "Another relay is there and takes its share of them within seconds."
    return "After a crash the next one waits until the old leases have run out."


def _topics(report: BacklogReport, kafka: Kafka) -> Iterator[Finding]:
    if kafka.problem:
        yield Finding("broker", kafka.problem, "Events wait meanwhile; nothing is lost.")
    for waiting in report.by_topic:
        if waiting.name in kafka.missing:
            yield Finding(
                "topic-missing",
                f"Kafka has no topic {waiting.name}, and {counted(waiting.events, 'event')} of it "
                f"{'waits' if waiting.events == 1 else 'wait'}.",
                "Create it with 'manage.py kafka_topics apply'; the relay goes on by itself.",
            )


def _holds(report: BacklogReport) -> Iterator[Finding]:
    if report.holds:
        yield Finding(
            "hold",
            f"{counted(report.held_keys.number, 'key')} held, the first one for: "
            f"{report.holds[0].reason}",
            "Mend the cause, then 'manage.py kafka_outbox retry --all-held', or give the events "
            "up with 'manage.py kafka_outbox discard'.",
        )


def _later(report: BacklogReport, now: datetime) -> Iterator[Finding]:
    later = sum(waiting.later for waiting in report.by_topic)
    if report.next_due:
        seconds = (report.next_due - now).total_seconds()
        yield Finding(
            "later",
            f"{counted(later, 'event')} not to be sent yet; the first is due in {seconds:,.0f} s.",
            "Nothing: they were published with available_at.",
        )


def _database(found: Sessions) -> Iterator[Finding]:
    for session in found.open:
        if session.blocks or (session.seconds or 0) > _LONG_OPEN:
            yield _session(session)
    for holder in found.horizon:
        if holder.age > _OLD_HORIZON:
            yield Finding(
                "horizon",
                f"{holder.name} keeps dead rows of the last {holder.age:,} transactions, so "
                "that the queue's table grows.",
                "End it, drop it if it is an abandoned slot, or commit the prepared transaction.",
            )
    if found.hidden:
        yield Finding(
            "hidden",
            f"{counted(found.hidden, 'session')} of other roles cannot be looked at.",
            "A superuser may run: GRANT pg_read_all_stats TO our role.",
        )


def _session(session: Session) -> Finding:
    whose = f"{session.user}, {session.application or 'unnamed'}"
    since = "" if session.seconds is None else f" for {session.seconds:,.0f} s"
    blocks = f" It blocks {', '.join(map(str, session.blocks))}." if session.blocks else ""
    writes = " It has changed the queue and not committed." if session.writes else ""
    return Finding(
        "session",
        f"Database session {session.pid} ({whose}) has a transaction open{since}, {session.state}."
        f"{blocks}{writes} Its statement: {session.query or 'unknown'}",
        f"Commit or end what runs it, or: SELECT pg_terminate_backend({session.pid});",
    )


def ranges(numbers: list[int]) -> str:
    """Return numbers in short: "0-3, 7"."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
