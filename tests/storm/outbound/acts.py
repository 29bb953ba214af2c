"""What writers do: one act is one piece of work of an application, committed or rolled back.

Each returns how many events it meant to commit. Cards are locked before counters, and both in the
order of their keys, so that acts seldom deadlock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from django.db import transaction
from django.db.models import F

from kafka_integration import publish
from kafka_integration.errors import EventTooLarge

from ..events import TOPICS, Told
from ..models import Card, Counter, Grave, Note, Word
from .writer import SHARED, Writer

TOO_MUCH = 1_100_000
"""More bytes than an event may have."""


class Regret(Exception):
    """Raised to roll a transaction back."""


def prepare(writer: Writer) -> None:
    """Make the cards and counters that acts expect."""
    keys = [*SHARED, *writer.own]
    for key in keys:
        Card.objects.get_or_create(pk=key)
    counters = [Counter(key=f"{kind}-{key}") for kind in ("note", "word") for key in keys]
    Counter.objects.bulk_create(counters, ignore_conflicts=True)


def save_card(writer: Writer) -> int:
    """Save outside of ``atomic``, so that the model's own transaction is the only one."""
    card = Card.objects.get(pk=writer.rng.choice(writer.own))
    card.number += 1
    card.weight = 0
    card.save()
    return 1


def save_too_much(writer: Writer) -> int:
    """Save outside of ``atomic`` what no event can tell: the row must stay as it was."""
    card = Card.objects.get(pk=writer.rng.choice(writer.own))
    card.number += 1
    card.weight = TOO_MUCH
    with suppress(EventTooLarge):
        card.save()
    return 0


def save_shared_cards(writer: Writer) -> int:
    """Save inside ``atomic``, what others save too."""
    with transaction.atomic():
        cards = _locked(writer.few())
        for card in cards:
            card.number += 1
            card.save(update_fields=["number"])
    return len(cards)


def save_notes(writer: Writer) -> int:
    """Create inside ``atomic``, under keys of the model's own choice."""
    with transaction.atomic():
        return _save_notes(writer.few())


def say_words(writer: Writer) -> int:
    """Publish by hand."""
    with transaction.atomic():
        return _say(writer.few())


def save_mixed(writer: Writer) -> int:
    """Do all of it in one transaction."""
    with transaction.atomic():
        count = _raise_cards(writer.few())
        keys = writer.few()
        return count + _save_notes(keys) + _say(keys)


def roll_back(writer: Writer) -> int:
    """Do all of it, and think better of it."""
    try:
        with transaction.atomic():
            _do_doomed(writer.few(), writer.few())
            raise Regret
    except Regret:
        return 0


def roll_back_to_savepoint(writer: Writer) -> int:
    """Think better of a part, and go on under the same keys."""
    cards, keys = writer.few(), writer.few()
    with transaction.atomic():
        count = _raise_cards(cards) + _save_notes(keys)
        try:
            with transaction.atomic():
                _do_doomed(cards, keys)
                raise Regret
        except Regret:
            return count + _save_notes(keys) + _raise_cards(cards) + _say(keys)


def take_long(writer: Writer) -> int:
    """Take places in the queue, and commit seconds later, when others have passed by."""
    keys = writer.some(writer.own, 4)
    with transaction.atomic():
        count = _raise_cards(keys) + _save_notes(keys) + _say(keys)
        time.sleep(writer.rng.uniform(1.0, 4.0))
        return count + _save_notes(keys) + _say(keys)


def create_cards(writer: Writer) -> int:
    """``bulk_create()`` outside of ``atomic``."""
    new = [f"{writer.name}-{writer.rng.getrandbits(64):016x}" for _ in range(writer.bulk)]
    Card.objects.bulk_create([Card(pk=key) for key in new])
    writer.mortal.extend(new[:20])
    return len(new)


def create_notes(writer: Writer) -> int:
    """``bulk_create()`` inside ``atomic``."""
    keys = writer.some([*SHARED, *writer.own], 10)
    with transaction.atomic():
        pairs = _numbered("note", (writer.rng.choice(keys) for _ in range(writer.bulk)))
        Note.objects.bulk_create([Note(key=key, number=number) for key, number in pairs])
    return len(pairs)


def say_many_words(writer: Writer) -> int:
    """``publish()`` many times in one transaction."""
    with transaction.atomic():
        return _say([writer.rng.choice(SHARED) for _ in range(max(1, writer.bulk // 4))])


def update_cards(writer: Writer) -> int:
    """``QuerySet.update()`` with ``F()``, outside of ``atomic``."""
    return _raise_cards(writer.some([*SHARED, *writer.own], writer.bulk))


def bulk_update_cards(writer: Writer) -> int:
    """``bulk_update()`` of locked rows."""
    with transaction.atomic():
        cards = _locked(writer.some([*SHARED, *writer.own], writer.bulk))
        for card in cards:
            card.number += 1
        Card.objects.bulk_update(cards, ["number"])
    return len(cards)


def delete_cards(writer: Writer) -> int:
    """``QuerySet.delete()``, or ``delete()`` of one, outside of ``atomic``."""
    keys, writer.mortal = writer.mortal[:5], writer.mortal[5:]
    cards = list(Card.objects.filter(pk__in=keys))
    graves = [Grave(card=card.pk, number=card.number + 1) for card in cards]
    Grave.objects.bulk_create(graves)
    if len(cards) == 1 or writer.rng.random() < 0.5:
        for card in cards:
            card.delete()
    else:
        Card.objects.filter(pk__in=keys).delete()
    return len(cards)


ACTS: dict[Callable[[Writer], int], float] = {
    save_card: 10,
    save_too_much: 1,
    save_shared_cards: 8,
    save_notes: 8,
    say_words: 6,
    save_mixed: 4,
    roll_back: 4,
    roll_back_to_savepoint: 3,
    take_long: 0.4,
    create_cards: 2,
    create_notes: 5,
    say_many_words: 1,
    update_cards: 4,
    bulk_update_cards: 2,
    delete_cards: 2,
}
"""Every act, and how often it is done."""


def _locked(keys: Iterable[str]) -> list[Card]:
    return list(Card.objects.select_for_update().filter(pk__in=list(keys)).order_by("pk"))


def _raise_cards(keys: Iterable[str], *, doomed: bool = False) -> int:
    change = {"doomed": True} if doomed else {}
    return Card.objects.filter(pk__in=list(keys)).update(number=F("number") + 1, **change)


def _numbered(kind: str, keys: Iterable[str]) -> list[tuple[str, int]]:
    """Give each key its next number, under a lock that is held until the transaction ends."""
    names = [f"{kind}-{key}" for key in keys]
    rows = Counter.objects.select_for_update().filter(key__in=set(names)).order_by("key")
    counters = {counter.key: counter for counter in rows}
    pairs = []
    for name in names:
        counters[name].last += 1
        pairs.append((name.removeprefix(f"{kind}-"), counters[name].last))
    Counter.objects.bulk_update(counters.values(), ["last"])
    return pairs


def _save_notes(keys: Iterable[str], *, doomed: bool = False) -> int:
    pairs = _numbered("note", keys)
    for key, number in pairs:
        Note(key=key, number=number, doomed=doomed).save()
    return len(pairs)


def _say(keys: Iterable[str], *, doomed: bool = False) -> int:
    pairs = _numbered("word", keys)
    for key, number in pairs:
        publish(Told(key=key, number=number, doomed=doomed), topic=TOPICS["word"], key=key)
    Word.objects.bulk_create([Word(key=key, number=number) for key, number in pairs])
    return len(pairs)


def _do_doomed(cards: Iterable[str], keys: Iterable[str]) -> None:
    _raise_cards(cards, doomed=True)
    _save_notes(keys, doomed=True)
    _say(keys, doomed=True)
