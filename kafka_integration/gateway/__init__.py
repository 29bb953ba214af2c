"""The HTTP gateway: events from a browser, or from a service without Kafka, into the outbox."""

from __future__ import annotations
