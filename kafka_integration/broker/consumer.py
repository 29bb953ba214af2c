"""The one way we read from Kafka: in a group, committing only what is finished."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from ..conf import settings
from ..errors import BrokerError, TopicMissing
from ..events.envelope import Message
from .assignment import Taken
from .commits import Commits
from .consumer_errors import Troubles, explain_reading
from .membership import Listener, Membership
from .offsets import GroupOffsets, Place
from .reading import connect, message_of

log = logging.getLogger(__name__)

_SLICE = 0.2
_MISSING_GRACE = 15.0
_ASK_TIMEOUT = 0.5


class EventConsumer:
    """A member of a consumer group from its first :meth:`poll` on. Call it from one thread.

    Who works at one message after the other calls :meth:`finished`; who works at several at a
    time calls :meth:`take` for each that was polled and :meth:`release` when it is done. Both
    store in the client where the group may go on. Stored offsets are committed every
    ``commit_interval`` seconds, before a partition is handed to another member, and at the end;
    after a partition was lost they are dropped. Nothing else is ever committed.

    Messages come one by one: ``consume(n, timeout)`` would wait for a full batch while a first
    message is already there.

    Args:
        topics: what to read.
        group: the group; its id in Kafka is ``KAFKA_GROUP_PREFIX`` and this.
        from_beginning: start each partition at its first message when it first comes to us.
        watch_ends: note when a partition's end is reached; :class:`Backlog` needs it.
        commit_interval: seconds.
        listener: told of partitions that come and go.
        overrides: librdkafka properties, with ``_`` where the name has a dot.

    Raises:
        ConfigurationError: librdkafka does not take its properties.
    """

    def __init__(
        self,
        topics: Iterable[str],
        group: str,
        *,
        from_beginning: bool = False,
        watch_ends: bool = False,
        commit_interval: float = 1.0,
        listener: Listener | None = None,
        **overrides: Any,
    ) -> None:
        self.topics = tuple(topics)
        self.group_id = settings.group_prefix + group
        self._waiting: deque[Message] = deque()
        self._closed = False
        self._commits = Commits(self.group_id, commit_interval)
        self._membership = Membership(
            self.group_id, self._commits, self._forget, listener, from_beginning=from_beginning
        )
        self._assignment = self._membership.assignment
        self._missing: dict[str, float] = {}
        self._troubles = Troubles(self.group_id)
        self._consumer = connect(
            {"error_cb": self._troubles.note, "on_commit": self._commits.answered},
            group_id=self.group_id,
            enable_partition_eof=watch_ends,
            **overrides,
        )
        self.offsets = GroupOffsets(self._consumer, self.topics, self._troubles, self._hear)
        self._joining = False

    def poll(self, timeout: float) -> Message | None:
        """Return the next message, or None if there is none within ``timeout`` seconds.

        While Kafka is out of reach this logs a warning and returns None.

        Raises:
            AuthenticationFailed: our credentials were refused.
            TopicMissing: a topic does not exist, or no longer.
            BrokerError: Kafka does not let us read.
        """
        self._commits.commit_if_due(self._consumer)
        message = self._waiting.popleft() if self._waiting else self._next(timeout)
        if message is not None:
            self._membership.left.clear()
        return message

    @property
    def assigned(self) -> set[Place]:
        """The partitions that are ours."""
        return self._assignment.places

    @property
    def positions(self) -> dict[Place, int]:
        """Up to where our partitions are finished or, where nothing is taken, read to the end."""
        return self._assignment.positions

    def take(self, message: Message) -> Taken:
        """Work at the message polled last, until :meth:`release`, beside others."""
        return self._assignment.take(message)

    def release(self, taken: Taken) -> None:
        """Note that a message is finished. The group goes on behind it once all before it are.

        No effect if its partition has left us since, even if it has come back.
        """
        following = self._assignment.finish(taken)
        if following is not None:
            self._commits.store(self._consumer, *taken.place, following)

    def finished(self, message: Message) -> None:
        """Allow the group to go on after ``message``. No effect if its partition has left us."""
        if not self.owns(message):
            return
        following = message.offset + 1
        self._commits.store(self._consumer, message.topic, message.partition, following)
        self.positions[message.topic, message.partition] = following

    def pause(self) -> None:
        """Fetch no more until :meth:`resume`; :meth:`poll` then only keeps us in the group.

        librdkafka throws away what it has fetched already and will fetch it again: pause seldom.
        Source: librdkafka, issue 5343.
        """
        self._membership.pause(self._consumer)

    def resume(self) -> None:
        """Fetch again."""
        self._membership.resume(self._consumer)

    @property
    def has_waiting(self) -> bool:
        """Whether messages arrived while we rested that were not polled yet."""
        return bool(self._waiting)

    def owns(self, message: Message) -> bool:
        """Tell whether the partition of the message polled last has been ours ever since."""
        place = (message.topic, message.partition)
        return place in self.assigned and place not in self._membership.left

    def rest(self, seconds: float, interrupted: Callable[[], bool]) -> None:
        """Wait without leaving the group: fetching is paused, polling goes on.

        A mere sleep past ``max.poll.interval.ms`` would cost us all partitions.

        Args:
            interrupted: asked every 0.2 seconds; True ends the wait early.

        Raises:
            BrokerError: as :meth:`poll`.
        """
        deadline = time.monotonic() + seconds
        self.pause()
        try:
            while not interrupted() and (left := deadline - time.monotonic()) > 0:
                self._commits.commit_if_due(self._consumer)
                message = self._next(min(_SLICE, left))
                if message is not None:
                    self._waiting.append(message)
        finally:
            self.resume()

    def close(self, timeout: float = 10.0) -> bool:
        """Commit what is finished and leave the group.

        librdkafka may hang here when the cluster is sick, so it is left behind after ``timeout``
        seconds; the group then notices our absence when the session times out. A second call does
        nothing.

        Returns:
            Whether it ended in time.
        """
        if self._closed:
            return True
        self._closed, self._membership.listener = True, None
        thread = threading.Thread(target=self._close, name="kafka-consumer-close", daemon=True)
        thread.start()
        thread.join(timeout)
        if thread.is_alive():
            log.warning(
                "Group %s: Kafka did not answer within %g s at the end. Messages finished last may "
                "be delivered again.",
                self.group_id,
                timeout,
            )
        return not thread.is_alive()

    def _join(self) -> None:
        # Not before the first poll: until a join is answered, which may take as long as another
        # member's slowest handler, the coordinator answers nothing else on our connection.
        self._joining = True
        self._consumer.subscribe(
            list(self.topics),
            on_assign=self._membership.assigned,
            on_revoke=self._membership.revoked,
            on_lost=self._membership.lost,
        )

    def _hear(self) -> None:
        # Before we join there are no messages in the queue, only errors.
        found = None if self._joining else self._consumer.poll(0)
        error = found.error() if found is not None else None
        if found is not None and error is not None:
            self._troubles.judge(error, found.topic() or "")

    def _next(self, timeout: float) -> Message | None:
        if not self._joining:
            self._join()
        found = self._consumer.poll(timeout)
        self._troubles.raise_worst()
        self._check_missing()
        if self._troubles.outage.must_ask():
            self._ask_whether_back()
        if found is None:
            return None
        error = found.error()
        if error is None:
            return message_of(found)
        self._judge(error, found)
        return None

    def _ask_whether_back(self) -> None:
        try:
            self._consumer.list_topics(self.topics[0], timeout=_ASK_TIMEOUT)
        except KafkaException as error:
            log.debug("Group %s: %s", self.group_id, error)
            self._troubles.outage.unanswered()
        else:
            self._troubles.outage.answered()

    def _judge(self, error: KafkaError, found: KafkaMessage) -> None:
        topic, partition, offset = found.topic() or "", found.partition(), found.offset()
        if error.code() == KafkaError._PARTITION_EOF:
            if partition is not None and offset is not None:
                self._assignment.reach((topic, partition), offset)
        elif isinstance(explain_reading(error, topic), TopicMissing):
            self._missing.setdefault(topic, time.monotonic())
        else:
            self._troubles.judge(error, topic)

    def _check_missing(self) -> None:
        # A broker that is starting says for a moment that it has no such topic.
        for topic, since in list(self._missing.items()):
            if time.monotonic() - since > _MISSING_GRACE:
                del self._missing[topic]
                self.offsets.partitions(topic)

    def _forget(self, places: set[Place]) -> None:
        self._waiting = deque(
            item for item in self._waiting if (item.topic, item.partition) not in places
        )

    def _close(self) -> None:
        try:
            self._commits.commit_now(self._consumer)
            self._consumer.close()
        except (KafkaException, BrokerError) as error:
            log.warning("Group %s: Kafka at the end: %s", self.group_id, error)
