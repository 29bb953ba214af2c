"""What a person or a log sees of a running consumer."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from django.core.management.base import OutputWrapper

from ..events.envelope import Message
from ..inbox.dispatch import Outcome
from ..inbox.worker import Worker
from ..signals import message_dead, message_failed


class ConsumerConsole:
    """Writes a worker's start, its failures and its end as lines.

    Args:
        out: where to write.
        worker: whose life is told.
    """

    def __init__(self, out: OutputWrapper, worker: Worker) -> None:
        self.out = out
        self.worker = worker

    def __enter__(self) -> ConsumerConsole:
        message_failed.connect(self._failed)
        message_dead.connect(self._dead)
        self._line(f"Group {self.worker.group} reads {', '.join(self.worker.topics)}.")
        for handler in self.worker.handlers:
            contract = handler.contract
            kind = f"{contract.type_name()} v{contract.event_version}"
            self._line(f"  {handler.topic}  {kind}  ->  {handler.name}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        message_failed.disconnect(self._failed)
        message_dead.disconnect(self._dead)
        self._line(self._summary())

    def _failed(self, message: Message, attempt: int, error: Exception, **said: Any) -> None:
        what = f"{type(error).__name__}: {error}"
        self._line(
            f"Try {attempt} of {message.place()} failed, again in {said['pause']:.1f} s: {what}"
        )

    def _dead(self, message: Message, reason: str, letter: bool, **_: Any) -> None:
        went = f"went to {message.topic}.dlq" if letter else "is kept in the inbox only"
        self._line(f"Dead letter: {message.place()} {went}: {reason}")

    def _summary(self) -> str:
        counts = self.worker.outcomes
        parts = [f"{counts[outcome]:,} {outcome.value}" for outcome in Outcome]
        retried = self.worker.retried
        if retried:
            parts.append(
                f"tried again on demand: {retried[Outcome.HANDLED]:,} handled, "
                f"{retried[Outcome.DEAD]:,} dead"
            )
        return f"Consumer ended. {counts.total():,} messages: {', '.join(parts)}."

    def _line(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()
