"""Writes a request's events and its answer in one transaction: all of it or none."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, router, transaction
from django.http import HttpRequest

from ..errors import EventTooLarge
from ..models import GatewayReceipt, OutboxEvent
from ..models.queue import key_hash
from ..outbox.capture import publish
from ..outbox.store import lock_hashes
from .parcel import Incoming
from .problems import KeyReused, Malformed, TooLarge
from .sender import Sender

KEY = "[!#-~]{1,255}"


@dataclass(frozen=True)
class Posting:
    """One request to write events.

    Args:
        sender: who sends it.
        key: its idempotency key, or empty.
        fingerprint: stands for its body.
        using: alias of the outbox's database.
    """

    sender: Sender
    key: str
    fingerprint: str
    using: str

    @classmethod
    def of(cls, request: HttpRequest, body: bytes, sender: Sender) -> Posting:
        """Return the posting that a request stands for.

        Raises:
            Malformed: its idempotency key cannot be used.
        """
        fingerprint = hashlib.sha256(body).hexdigest()
        return cls(sender, _key(request), fingerprint, router.db_for_write(OutboxEvent))

    def earlier_answer(self) -> str | None:
        """Return what was answered to the same request before, if it named its key.

        Raises:
            KeyReused: the key came with another body.
        """
        receipt = self.key and GatewayReceipt.objects.using(self.using).of(
            str(self.sender), self.key
        )
        if not receipt:
            return None
        if receipt.fingerprint != self.fingerprint:
            raise KeyReused(self.key)
        return receipt.answer

    def write(self, events: Sequence[Incoming]) -> tuple[str, bool]:
        """Publish the events; return the answer, and whether another request gave it.

        Of two requests with one key, the database lets the first one in; the other waits for its
        end, writes nothing and gives the same answer.

        Raises:
            TooLarge: an event is larger than Kafka takes.
            KeyReused: meanwhile, the key came with another body.
        """
        try:
            with transaction.atomic(using=self.using):
                return self._write(events), False
        except IntegrityError:
            answer = self.earlier_answer()
            if answer is None:
                raise
            return answer, True

    def _write(self, events: Sequence[Incoming]) -> str:
        # In sorted order and before the first event: two requests never wait for each other.
        lock_hashes(self.using, (key_hash(event.topic, event.key) for event in events))
        answer = json.dumps({"events": [self._publish(i, found) for i, found in enumerate(events)]})
        if self.key:
            GatewayReceipt.objects.using(self.using).create(
                sender=str(self.sender), key=self.key, fingerprint=self.fingerprint, answer=answer
            )
        return answer

    def _publish(self, place: int, event: Incoming) -> dict[str, str]:
        try:
            event_id = publish(
                event.data,
                topic=event.topic,
                key=event.key,
                using=self.using,
                headers=event.headers,
            )
        except EventTooLarge as error:
            pointer = {"pointer": f"#/events/{place}", "detail": str(error)}
            raise TooLarge("An event is larger than Kafka takes.", errors=[pointer]) from error
        return {"id": str(event_id), "topic": event.topic}


def _key(request: HttpRequest) -> str:
    """Return the idempotency key, with or without the quotes of a structured field."""
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return ""
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not re.fullmatch(KEY, key):
        raise Malformed(
            "Idempotency-Key must be 1 to 255 visible ASCII characters, as a UUID is; quotes may "
            "stand around it."
        )
    return key
