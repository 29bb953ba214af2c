"""When a saved or deleted model is worth an event: pure questions about one change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["created", "updated", "deleted"]


@dataclass(frozen=True)
class Change:
    """What happened to one row.

    Args:
        kind: created, updated or deleted.
        instance: the row as it is after the change; for a deletion, as it was before.
        before: the row's values by attribute name before an update, as far as they were asked
            for; empty for a creation.
        model: the model that publishes: the instance's class, or a base of it.
    """

    kind: Kind
    instance: Any
    before: Mapping[str, Any]
    model: type[Any] | None = None

    @property
    def publisher(self) -> type[Any]:
        """The model whose row this is to its publication."""
        # An abstract model has no rows, hence no key of its own.
        if self.model is None or self.model._meta.abstract:
            return type(self.instance)
        return self.model

    @property
    def pk(self) -> Any:
        """The primary key in the publishing model's table; its heirs' tables may have another."""
        return getattr(self.instance, self.publisher._meta.pk.attname)

    def differs(self, field: str) -> bool:
        """Tell whether an update changed ``field`` (an attribute name such as ``owner_id``).

        Where the old value is not known, because the row came to be just before it was updated,
        the answer is yes: an event too many does no harm, and one too few is lost.
        """
        return field not in self.before or bool(self.before[field] != getattr(self.instance, field))


@dataclass(frozen=True)
class Condition:
    """A question about a change, and the old values that are needed to answer it.

    Args:
        kinds: the kinds of change it is asked of.
        fields: the fields whose old values it needs, read from the row before an update.
        test: the question itself; None means every change of those kinds.
        text: how the condition reads in listings.
        is_change: whether it is met exactly by an update that changes one of ``fields``.
    """

    kinds: frozenset[Kind]
    fields: tuple[str, ...] = ()
    test: Callable[[Change], bool] | None = None
    text: str = ""
    is_change: bool = False

    def matches(self, change: Change) -> bool:
        """Answer the question for one change."""
        return change.kind in self.kinds and (self.test is None or self.test(change))

    def __str__(self) -> str:
        return self.text


created = Condition(frozenset({"created"}), text="created")
updated = Condition(frozenset({"updated"}), text="updated")
deleted = Condition(frozenset({"deleted"}), text="deleted")


def changed(*fields: str) -> Condition:
    """Ask whether an update gave any of ``fields`` another value than the row held before.

    Args:
        fields: attribute names of the model; for a foreign key ``owner`` or ``owner_id``.
    """

    def any_differs(change: Change) -> bool:
        return any(change.differs(field) for field in _attnames(change.instance, fields))

    text = f"changed({', '.join(fields)})"
    return Condition(frozenset({"updated"}), fields, any_differs, text, is_change=True)


def becomes(**values: Any) -> Condition:
    """Ask whether a row reached ``values`` by this change: saved so, and not so before.

    Args:
        values: attribute names and the values that they must have reached together.
    """

    def reached(change: Change) -> bool:
        if any(getattr(change.instance, name) != value for name, value in values.items()):
            return False
        return change.kind == "created" or any(
            change.differs(field) for field in _attnames(change.instance, tuple(values))
        )

    text = ", ".join(f"{name}={value}" for name, value in values.items())
    return Condition(
        frozenset({"created", "updated"}), tuple(values), reached, text=f"becomes({text})"
    )


def satisfies(
    test: Callable[[Change], bool], *, fields: tuple[str, ...] = (), name: str = ""
) -> Condition:
    """Ask a question of your own.

    Args:
        test: takes the :class:`Change`, returns whether the event is published.
        fields: fields whose old values ``change.before`` shall hold.
        name: how the condition reads in listings; by default the function's name.
    """
    kinds: frozenset[Kind] = frozenset({"created", "updated", "deleted"})
    return Condition(kinds, fields, test, text=name or getattr(test, "__name__", "predicate"))


def _attnames(instance: Any, fields: tuple[str, ...]) -> list[str]:
    return [instance._meta.get_field(field).attname for field in fields]
