"""Lifecycle signals. Loops send them; logs, metrics and progress displays listen.

A receiver that raises stops the loop that sent the signal: receivers must be small and safe.
"""

from __future__ import annotations

from django.dispatch import Signal

relay_leading = Signal()
"""A relay that held no shard took some. Arguments: ``using`` (str), ``owner`` (str)."""

relay_turned = Signal()
"""A relay's loop went round, whatever it found. No arguments."""

relay_idle = Signal()
"""A relay has sent everything that could be sent. No arguments."""

relay_waiting = Signal()
"""A relay cannot work now. Arguments: ``reason`` (str)."""

batch_relayed = Signal()
"""A batch left the outbox. Arguments: ``published`` (int), ``held`` (int), ``seconds`` (float)."""

event_held = Signal()
"""Kafka refused an event for good. Arguments: ``event_id``, ``topic``, ``key_hash``, ``reason``."""

consumer_started = Signal()
"""A consumer's topics are there and it begins to read. Arguments: ``group``."""

consumer_turned = Signal()
"""A consumer looked for work once more, several times a second. Arguments: ``group``, ``in_flight``
(int: messages in memory), ``busy_seconds`` (float: how long the handler that is longest at work
has been)."""

handler_ended = Signal()
"""A handler returned or raised; sent in its own thread, inside its transaction. Arguments:
``handler`` (Handler), ``seconds`` (float)."""

message_handled = Signal()
"""A message was dealt with. Arguments: ``group``, ``message``, ``outcome`` (Outcome)."""

message_failed = Signal()
"""A try failed and another follows. Arguments: ``group``, ``message``, ``attempt``, ``error``,
``pause`` (seconds)."""

record_retried = Signal()
"""A message that was parked was tried again. Arguments: ``group``, ``record`` (InboxRecord),
``outcome`` (Outcome: HANDLED; IGNORED; PARKED until its next try; DEAD if it was tried on an
operator's demand)."""

message_dead = Signal()
"""A message was given up. Arguments: ``group``, ``message``, ``reason``, ``letter`` (False if its
dead-letter topic refused it, so that only the inbox record has it)."""
