"""What a Kafka transaction carries of the rows that were read, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import BrokerError
from .batch import Batch
from .scan import QueueRow


@dataclass(frozen=True)
class Load:
    """The rows of one round, sorted by what is to become of them.

    Args:
        rows: what is sent, in order.
        refused: what Kafka has rejected before, with the reason; their keys are held once the
            rows are out.
        behind: what waits behind the refused ones.
    """

    rows: Sequence[QueueRow] = ()
    refused: Sequence[tuple[QueueRow, BrokerError]] = ()
    behind: Sequence[QueueRow] = field(default=())

    def outcome(self, answers: Batch) -> Batch:
        """Return what is to be recorded once Kafka has committed the rows.

        Args:
            answers: where each of the rows landed.
        """
        return Batch([*self.rows, *self.behind], list(answers.sent), list(self.refused))


def load(rows: Sequence[QueueRow], refusals: Mapping[int, BrokerError]) -> Load:
    """Sort rows into a load.

    The events of a key before the refused one still go, and it and those after it do not: a hold
    stands for the first event of its key that waits.

    Args:
        rows: in order.
        refusals: why Kafka rejected the event at a position, for those that it did.
    """
    refused = [(row, refusals[row.position]) for row in rows if row.position in refusals]
    firsts: dict[tuple[str, int], int] = {}
    for row, _ in refused:
        firsts.setdefault(row.unit, row.position)
    sent = [row for row in rows if row.position < firsts.get(row.unit, row.position + 1)]
    behind = [row for row in rows if row.position >= firsts.get(row.unit, row.position + 1)]
    # Of each key one is to blame; what follows it may be rejected too, once it is its turn.
    blamed = [(row, error) for row, error in refused if firsts[row.unit] == row.position]
    return Load(sent, blamed, behind)
