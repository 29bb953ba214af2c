"""What a relay asks of whatever publishes for it: at least once, or exactly once."""

from __future__ import annotations

from typing import Protocol


class Engine(Protocol):
    """Publishes the events of the shards that the relay holds."""

    @property
    def published(self) -> int:
        """How many events are recorded as out so far."""

    def begin(self) -> None:
        """Take note that the relay has shards that it did not have before.

        Raises:
            BatchUnsettled: another kind of relay left a batch of them unfinished.
        """

    def advance(self) -> int:
        """Do what can be done now; return how many events were recorded as out.

        Raises:
            AuthenticationFailed: Kafka does not accept our credentials.
            BrokerUnavailable: Kafka does not answer.
            DatabaseError: the database does not answer.
        """

    def round(self) -> int:
        """Publish one batch from beginning to end; return how many events went out."""

    def look_again(self) -> None:
        """Take note that events were committed just now."""

    def settle(self) -> int:
        """Bring what is under way to its end and begin nothing; return how many went out."""

    def is_idle(self) -> bool:
        """Tell whether nothing is under way and nothing more was found."""

    def is_empty(self) -> bool:
        """Tell whether nothing waits that could be sent now."""

    def discard(self) -> None:
        """Withdraw what is under way at once: its next owner deals with it."""

    def close(self) -> None:
        """End the threads and their database connections."""
