"""What the storm's consumers do with an event: leave one row, and sometimes fail after that."""

from __future__ import annotations

import os
import random
import time

from django.db import DatabaseError
from django.db.models import Max

from kafka_integration import Event, EventData, handles

from ..models import Deed
from ..names import asked_topics, group

RUN = os.environ.get("STORM_RUN", "none")
TOPICS = asked_topics(RUN)
# So many that no event that fails at random ever uses them up: half of them to the power of this.
ATTEMPTS = 40


class Asked(EventData):
    """What the handlers need."""

    lane: str
    number: int
    manner: str


class Flaky(Exception):
    """Raised at random; the next try may do."""


class Fatal(Exception):
    """Raised whenever such an event is tried."""


def act(event: Event[Asked]) -> None:
    """Leave a row that says which number of its key was the highest until then."""
    asked = event.data
    before = Deed.objects.filter(topic=event.message.topic, key=asked.lane)
    Deed.objects.create(
        topic=event.message.topic,
        key=asked.lane,
        number=asked.number,
        before=before.aggregate(last=Max("number"))["last"] or 0,
    )
    if asked.manner == "slow":
        time.sleep(random.uniform(0.05, 0.3))
    elif asked.manner == "fatal":
        raise Fatal("as the storm wants it")
    elif asked.manner == "flaky" and random.random() < 0.5:
        raise Flaky("as the storm wants it")


_RETRIABLE = (Flaky, DatabaseError)


@handles(TOPICS["single"], Asked, group=group(RUN), attempts=ATTEMPTS, retry_on=_RETRIABLE)
def act_alone(event: Event[Asked]) -> None:
    """Act in a transaction of its own."""
    act(event)


@handles(
    TOPICS["batch"],
    Asked,
    group=group(RUN),
    attempts=ATTEMPTS,
    retry_on=_RETRIABLE,
    transactional=True,
)
def act_together(event: Event[Asked]) -> None:
    """Act in a transaction that many share."""
    act(event)
