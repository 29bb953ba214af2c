"""What a person or a log sees of a running consumer."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Any

from django.core.management.base import OutputWrapper

from ..errors import MessageError
from ..events.envelope import Attributes, Message
from ..inbox.dispatch import Outcome, choose
from ..inbox.worker import Worker
from ..models import InboxRecord
from ..signals import (
    consumer_started,
    consumer_turned,
    message_dead,
    message_handled,
    record_retried,
)

_REPORT_EVERY = 5.0
_KEY_SHOWN = 12
_WORDS = {
    Outcome.HANDLED: "✓",
    Outcome.DUPLICATE: "= duplicate",
    Outcome.IGNORED: "- ignored",
    Outcome.PARKED: "… parked",
}
_PLAIN = str.maketrans({"✓": "+", "…": "~"})


class ConsumerConsole:
    """Writes a worker's start, what it handles, its dead letters and its end as lines.

    Args:
        out: where to write.
        worker: whose life is told.
        each: write a line a message, in place of a summary every five seconds.
    """

    def __init__(self, out: OutputWrapper, worker: Worker, *, each: bool) -> None:
        self.out = out
        self.worker = worker
        self._each = each
        self._started = False
        self._counts: Counter[Outcome] = Counter()
        self._reported = time.monotonic()
        self._receivers = (
            (consumer_started, self._begin),
            (consumer_turned, self._turned),
            (message_handled, self._handled),
            (message_dead, self._dead),
            (record_retried, self._retried),
        )

    def __enter__(self) -> ConsumerConsole:
        for signal, receiver in self._receivers:
            signal.connect(receiver)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signal, receiver in self._receivers:
            signal.disconnect(receiver)
        if self._started:
            self._line(self._summary())

    def _begin(self, **_: Any) -> None:
        self._started = True
        self._line(f"Group {self.worker.group} reads {', '.join(self.worker.topics)}.")
        for handler in self.worker.handlers:
            contract = handler.contract
            kind = f"{contract.type_name()} v{contract.event_version}"
            self._line(f"  {handler.topic}  {kind}  ->  {handler.name}")

    def _handled(self, message: Message, outcome: Outcome, **_: Any) -> None:
        if not self._each:
            self._counts[outcome] += 1
        elif outcome is not Outcome.DEAD:  # its letter was told
            self._line(self._message_line(message, outcome))

    def _turned(self, **_: Any) -> None:
        now = time.monotonic()
        if self._counts and now - self._reported >= _REPORT_EVERY:
            self._line(_handled_line(self._counts))
            self._counts.clear()
            self._reported = now

    def _dead(self, message: Message, reason: str, letter: bool, **_: Any) -> None:
        went = f"went to {message.topic}.dlq" if letter else "is kept in the inbox only"
        self._line(f"Dead letter: {message.place()} {went}: {reason}")

    def _retried(self, record: InboxRecord, outcome: Outcome, **_: Any) -> None:
        if outcome is Outcome.PARKED:
            return  # the log tells what failed
        what = "Tried again on demand" if record.key_hash is None else "Tried again"
        result = f"dead again: {record.last_error}" if outcome is Outcome.DEAD else outcome.value
        self._line(f"{what}: {record.place()} {result}")

    def _message_line(self, message: Message, outcome: Outcome) -> str:
        kind = Attributes.of(message).type or "(no type)"
        about = f"{message.place()} {kind} {_key(message.key)}"
        return f"{_WORDS[outcome]} {_printable(about)} {self._handler_name(message)}".strip()

    def _handler_name(self, message: Message) -> str:
        try:
            handler = choose(message, self.worker.handlers)
        except MessageError:
            return ""  # a duplicate of what an older version of the code could read
        return handler.name.rpartition(".")[2] if handler else ""

    def _summary(self) -> str:
        counts = self.worker.outcomes
        parts = [f"{counts[outcome]:,} {outcome.value}" for outcome in _shown(counts)]
        retried = self.worker.retried
        if retried:
            parts.append(
                f"of those parked before: {retried[Outcome.HANDLED]:,} handled, "
                f"{retried[Outcome.DEAD]:,} dead"
            )
        return f"Consumer ended. {_messages(counts.total())}: {', '.join(parts)}."

    def _line(self, text: str) -> None:
        self.out.write(_encodable(text, getattr(self.out, "encoding", None) or "utf-8"))
        self.out.flush()


def _handled_line(counts: Counter[Outcome]) -> str:
    rest = [outcome for outcome in _shown(counts) if outcome is not Outcome.HANDLED]
    # Each message is in one of them, so that the first number is all that there were.
    parts = ", ".join(f"{counts[outcome]:,} {outcome.value}" for outcome in rest)
    return f"Handled {_messages(counts.total())} ({parts})."


def _shown(counts: Counter[Outcome]) -> list[Outcome]:
    """Return what is told: seldom is anything parked."""
    return [one for one in Outcome if one is not Outcome.PARKED or counts[one]]


def _messages(number: int) -> str:
    return f"{number:,} message" if number == 1 else f"{number:,} messages"


def _key(key: bytes | None) -> str:
    """Return the key's beginning: enough to know it again, and a line stays a line."""
    if key is None:
        return "no key"
    text = key.decode("utf-8", "backslashreplace")
    return f"key {text if len(text) <= _KEY_SHOWN else f'{text[:4]}…'}"


def _printable(text: str) -> str:
    """Return ``text`` with no character that would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text
