"""A save under way: what hangs on the instance, so that the receiver after the write finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connections, models

from ..events.registry import Publication
from .lineage import Model
from .rows import link_to

if TYPE_CHECKING:
    from typing_extensions import Self

_ATTRIBUTE = "_kafka_writing"
_STACK = "_kafka_writings"  # on the connection, which each thread has for itself

_SAVEPOINT = "SAVEPOINT "
_ROLLBACK = "ROLLBACK TO SAVEPOINT "


class Writing:
    """One save, as a context manager around what Django does for it.

    An heir that sets ``listens`` is shown each statement meanwhile, by :meth:`on_statement`.

    Args:
        instance: what is being saved.
        using: the database's alias.
    """

    listens = False

    def __init__(self, instance: models.Model, using: str) -> None:
        self.instance = instance
        self.using = using
        self.connection = connections[using]
        self.captured = True
        """Whether events shall come of it."""
        self.taken: Sequence[Publication] = ()
        """The publications whose events the write took along."""
        self.is_as_stored = False
        """Whether the row is known to hold just what the instance does."""
        self._later: list[str] = []

    @classmethod
    def of_instance(cls, instance: models.Model) -> Writing | None:
        """Return the innermost save of ``instance`` that is under way."""
        found = instance.__dict__.get(_ATTRIBUTE)
        # A copy carries its original's, or what pickling left of it.
        return found if isinstance(found, Writing) and found.instance is instance else None

    def __enter__(self) -> Self:
        # A receiver of the application's may save the same instance again, inside this save.
        self._outer = self.of_instance(self.instance)
        self.instance.__dict__[_ATTRIBUTE] = self
        self._under_way.append(self)
        if self.listens:
            self.connection.execute_wrappers.append(self.on_statement)
        return self

    def __exit__(self, *_: object) -> None:
        self._under_way.remove(self)
        if self.listens:
            self.connection.execute_wrappers.remove(self.on_statement)
        if self._outer is None:
            self.instance.__dict__.pop(_ATTRIBUTE, None)
        else:
            self.instance.__dict__[_ATTRIBUTE] = self._outer

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[()]]:
        # A receiver may pickle or copy the instance.
        return dict, ()

    @property
    def is_innermost(self) -> bool:
        """Whether no other save is under way on the connection within this one.

        Not even of another instance: it may stand for the same row.
        """
        return self._under_way[-1:] == [self]

    @property
    def _under_way(self) -> list[Writing]:
        found: list[Writing] = self.connection.__dict__.setdefault(_STACK, [])
        return found

    def took(self, publications: Sequence[Publication]) -> None:
        """Note that the write was carried out, and which publications' events it took along."""
        self.taken, self.is_as_stored = publications, True
        self._later = []

    def heed_rollback(self, sql: str) -> None:
        """Forget what the write took along if ``sql`` undoes it."""
        if sql.startswith(_SAVEPOINT):
            self._later.append(sql.removeprefix(_SAVEPOINT))
        elif sql.startswith(_ROLLBACK) and sql.removeprefix(_ROLLBACK) not in self._later:
            self.taken, self.is_as_stored = (), False

    def of(self, view: Model) -> Mapping[str, Any]:
        """Return what the row held before, as a row of ``view``; empty if it is not known."""
        return {}

    def on_statement(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        """Carry out a statement of this save, or of what happens within it."""
        return execute(sql, params, many, context)

    def is_own_key(self, value: object) -> bool:
        """Tell whether a statement's parameter is the instance's primary key."""
        key = link_to(type(self.instance))
        return bool(value == key.get_db_prep_value(self.instance.pk, self.connection))
