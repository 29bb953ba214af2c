"""Kafka's side of one shard while we hold its lease: a transactional producer, and what it does.

What waits for Kafka here runs in threads and touches no database; the rest is
:class:`~kafka_integration.outbox.transactions.Transactions`'.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from functools import partial
from threading import Event as Flag
from typing import Any

from ..broker.limits import LARGEST_BATCH
from ..broker.producer import Delivery
from ..broker.progress import record_of
from ..broker.transactional import TransactionalProducer
from ..conf import settings
from ..errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    ProducerFailed,
    TopicRefused,
    TransactionFailed,
)
from ..models import OutboxManifest
from .batch import Batch
from .load import Load

log = logging.getLogger(__name__)

_SLICE = 0.2
_PATIENCE = 1.0
_ABORT_SECONDS = 1.0
_SINGLY_SECONDS = 10.0
_PAUSES = (0.2, 5.0)
MOST_TOGETHER = 64
"""So many rows are tried at once at most: as many go one by one if a relay dies of them."""
_PASSING = (BrokerUnavailable, ProducerFailed, TransactionFailed)


class Stage(Enum):
    """How far a tenure has come."""

    NEW = "no producer yet, or none that may be used"
    OPENING = "its producer is initialised"
    OPENED = "whoever had the shard before is fenced; the last batch is to be settled"
    READY = "nothing is under way"
    SENDING = "a batch is under way"


@dataclass
class Attempt:
    """One Kafka transaction, and what came of it.

    Args:
        manifest: what it was about, as the database has it.
        load: its rows, and what is held once they are out.
        batch: Kafka's answers.
        committed: whether Kafka confirmed the commit. If not, only the progress topic can tell.
        error: why it was not.
    """

    manifest: OutboxManifest
    load: Load
    batch: Batch
    committed: bool = False
    error: BrokerError | None = None


class Tenure:
    """One shard, from when we took its lease until we lose it or give it up.

    Args:
        using: alias of the outbox's database.
        shard: which one.
        epoch: of the lease; with another one it is another tenure.
        valid: whether our leases hold, by our own clock; asked in threads.
    """

    def __init__(self, using: str, shard: int, epoch: int, valid: Callable[[], bool]) -> None:
        self.shard = shard
        self.epoch = epoch
        self.transactional_id = transactional_id(using, shard)
        self.stage = Stage.NEW
        self.job: Future[Any] | None = None
        self.since = time.monotonic()
        self.needed = False
        self.progress: int | None = None
        self.manifest: OutboxManifest | None = None
        self.load: Load | None = None
        self.refusals: dict[int, BrokerError] = {}
        self.dropped = 0
        self.one_topic = False
        self.on_trial = False
        self.tried: list[int] = []
        self.accused = 0
        self.number = 1
        self.narrowest: float = LARGEST_BATCH
        self._valid = valid
        self._withdrawn = Flag()
        self._producer: TransactionalProducer | None = None
        self._singly_until = 0.0
        self._pause = 0.0
        self._resume_at = 0.0

    @property
    def singly(self) -> bool:
        """Whether each event travels alone, because Kafka rejected one a moment ago."""
        return self._singly_until > 0

    @property
    def last_error(self) -> BrokerError | None:
        """What the client said last of its connections."""
        return self._producer.last_error if self._producer else None

    def due(self) -> bool:
        """Tell whether the pause after a failure is over."""
        return time.monotonic() >= self._resume_at

    def proceed(self) -> bool:
        """Tell whether anything more may be handed to Kafka."""
        return not self._withdrawn.is_set() and self._valid()

    def enter(self, stage: Stage, job: Future[Any] | None = None) -> None:
        """Go on to a stage, with what runs for it."""
        self.stage, self.job, self.since = stage, job, time.monotonic()

    def reopen(self, *, at_once: bool = False) -> None:
        """Begin anew with another producer, after a pause that grows with each failure."""
        shortest, longest = _PAUSES
        self._pause = 0.0 if at_once else min(max(self._pause * 2, shortest), longest)
        self._resume_at = time.monotonic() + self._pause
        self.needed, self.load = True, None
        self.enter(Stage.NEW)

    def fail(self, error: BrokerError | None, say: Callable[[str], None]) -> None:
        """Begin anew after ``error``, which is said if that may cure it.

        Raises:
            BrokerError: it is one that waiting does not cure.
        """
        self.reopen()
        if error is None:
            return
        if not isinstance(error, _PASSING):
            raise error
        say(str(error))

    def went_well(self) -> None:
        """Take it that a batch went out: forget earlier failures, and wear."""
        self._pause = 0.0
        self.one_topic = False
        self.number = min(self.number * 2, MOST_TOGETHER) if self.on_trial else 1
        worn = self._producer is None or self._producer.worn
        if worn or (self.singly and time.monotonic() > self._singly_until):
            self.reopen(at_once=True)
        else:
            self.enter(Stage.READY)

    def send_singly(self) -> None:
        """Let each event travel alone for a while, to find the one that Kafka rejects."""
        self._singly_until = time.monotonic() + _SINGLY_SECONDS

    def withdraw(self) -> None:
        """End this tenure at once: nothing more is handed over, what is under way is given up."""
        self._withdrawn.set()

    def open(self) -> bool:
        """Make the producer and fence all others; False if we must not go on. Runs in a thread.

        Raises:
            BrokerError: Kafka refuses.
        """
        if time.monotonic() > self._singly_until:
            self._singly_until = 0.0
        self._producer = None  # the old one's connections end first
        self._producer = TransactionalProducer(
            self.transactional_id, singly=self.singly, narrowest=self.narrowest
        )
        return self._producer.initialise(self.proceed)

    def publish(self, attempt: Attempt) -> Attempt:
        """Publish a batch in one Kafka transaction. Runs in a thread.

        Raises:
            AuthenticationFailed: Kafka does not accept our credentials.
        """
        producer = self._producer
        if producer is None or not self.proceed():
            return attempt
        try:
            producer.begin()
            self._hand_over(producer, attempt)
            if self._all_delivered(producer, attempt):
                attempt.committed = producer.commit(self.proceed)
        except AuthenticationFailed:
            raise
        except (TransactionFailed, TopicRefused) as error:
            attempt.error = error
        except BrokerError as error:
            attempt.error = error
            # Neither can this producer abort. What it still holds would keep it alive.
            producer.abandon()
            return attempt
        if not attempt.committed:
            self._abort(producer)
        return attempt

    def _hand_over(self, producer: TransactionalProducer, attempt: Attempt) -> None:
        batch = attempt.batch
        for row in batch.rows:
            note = partial(batch.note, row)
            producer.send(row.topic, bytes(row.value), row.key, row.wire_headers(), note)

        def note_progress(delivery: Delivery) -> None:
            attempt.error = attempt.error or delivery.error

        value = record_of(attempt.manifest.batch)
        producer.send(settings.progress_topic, value, self.transactional_id, [], note_progress)

    def _all_delivered(self, producer: TransactionalProducer, attempt: Attempt) -> bool:
        """Wait for the reports; after a second leave that to the commit, which tells more."""
        deadline = time.monotonic() + _PATIENCE
        while producer.flush(_SLICE) and self.proceed() and time.monotonic() < deadline:
            if isinstance(producer.last_error, AuthenticationFailed):
                raise producer.last_error
        return self.proceed() and not attempt.batch.failed and attempt.error is None

    def _abort(self, producer: TransactionalProducer) -> None:
        """Abort, so that readers need not wait for it; whoever comes next would do it too."""
        deadline = time.monotonic() + _ABORT_SECONDS
        try:
            producer.abort(lambda: time.monotonic() < deadline)
        except BrokerError as error:
            log.debug("Not aborted by us: %s", error)


def transactional_id(using: str, shard: int) -> str:
    """Return the transactional id of a shard, which is its key in the progress topic too."""
    return f"{settings.group_prefix}{settings.transactional_id_prefix}.{using}.{shard}"
