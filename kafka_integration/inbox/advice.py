"""What to do next about a letter."""

from __future__ import annotations

from dataclasses import dataclass

from ..models import InboxStatus

_COMMAND = "manage.py kafka_dead_letters"


@dataclass(frozen=True)
class Advice:
    """A sentence, and the command that does what it says, if there is one."""

    text: str
    command: str = ""


def advice(number: int, status: str, group: str, *, is_handled_here: bool) -> list[Advice]:
    """Return what can be done about a letter, the best thing first.

    Args:
        number: the record's primary key.
        status: an :class:`InboxStatus`.
        group: its consumer group.
        is_handled_here: whether this project has handlers of that group.
    """
    if status == InboxStatus.DONE:
        return [Advice("Nothing: it has been handled.")]
    if status == InboxStatus.DISCARDED:
        return [Advice("Nothing: it was given up, and no handler of the group will see it.")]
    if status == InboxStatus.PARKED:
        return [
            Advice("It waits for its group's consumer:", f"manage.py kafka_consume --group {group}")
        ]
    give_up = Advice("Give it up:", f"{_COMMAND} discard {number}")
    if not is_handled_here:
        text = f"This project has no handler of group {group}: redrive it where its handlers are."
        return [Advice(text), give_up]
    return [
        Advice(
            "Mend the cause, then see what would happen:", f"{_COMMAND} redrive {number} --dry-run"
        ),
        Advice(f"Let group {group} handle it again:", f"{_COMMAND} redrive {number}"),
        give_up,
    ]
