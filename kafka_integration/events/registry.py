"""What the applications' ``events.py`` modules declare: publications and handlers."""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from ..conf import settings
from ..errors import (
    ContractMismatch,
    DeclarationError,
    DuplicateHandler,
    UncallableHandler,
    UnknownGroup,
    UnknownOrder,
    UnusableKey,
)
from .conditions import Change, Condition
from .contract import EventData, missing_fields, previous_fields, require_contract
from .envelope import Event
from .groups import check_group
from .topics import check_event_topic
from .upcasts import Upcast, Upcasts

F = TypeVar("F", bound=Callable[[Any], object])

Order = Literal["key", "partition", "none"]
"""Which of a topic's messages are handled one after the other: those of one key, those of one
partition, or none at all."""


@dataclass(frozen=True)
class Publication:
    """One declaration of ``publishes()``: this model, on this condition, to this topic.

    Args:
        model: the Django model class.
        contract: what is published.
        topic: where it is published.
        when: on which changes.
        key: makes the key from the instance, and is turned into text; None means the primary key.
    """

    model: type[Any]
    contract: type[EventData]
    topic: str
    when: Condition
    key: Callable[[Any], object] | None = None

    @property
    def table(self) -> type[Any]:
        """The class whose saved rows count: for a proxy, the model that it stands for."""
        return self.model._meta.concrete_model if self.model._meta.proxy else self.model

    def seen(self, change: Change) -> Change:
        """Return the change with an instance of the declared model, whatever class saved it."""
        instance = change.instance
        if change.model is self.model and isinstance(instance, self.model):
            return change
        if not isinstance(instance, self.model):
            instance = copy(instance)
            instance.__class__ = self.model
        return Change(change.kind, instance, change.before, self.model)

    def key_for(self, change: Change) -> str:
        """Return the key of the event of a change that was :meth:`seen`, as text.

        Raises:
            UnusableKey: ``key`` returned None.
        """
        key = self.key(change.instance) if self.key else change.pk
        if key is None:
            raise UnusableKey(self.topic, key)
        return str(key)

    def old_fields(self) -> tuple[str, ...]:
        """Return the fields whose values before an update are needed."""
        return tuple(dict.fromkeys(self.when.fields + previous_fields(self.contract)))


@dataclass(frozen=True)
class Handler:
    """One declaration of ``handles()``: this function, for this topic, type, version and group.

    Args:
        topic: where the messages come from.
        contract: what their data must satisfy; its type and version choose the handler.
        group: the consumer group that the handler belongs to.
        function: takes the :class:`Event`, or a list of them; its return value is not looked at.
        using: alias of the database that its effect and the inbox record go to.
        attempts: how often it is tried; None means the setting ``KAFKA_HANDLER_ATTEMPTS``.
        retry_on: exceptions worth another try; any other goes to the dead-letter topic at once.
        order: which messages wait for each other.
        transactional: its effects are in that database alone, so that many may share a transaction.
        fatal_on: exceptions after which the message goes to the dead-letter topic at once.
        ignore_on: exceptions after which the message counts as dealt with.
        backoff: the longest pause after the first try, in seconds; None means the setting.
        backoff_max: no pause is longer, in seconds; None means the setting.
        give_up_after: seconds after its first failure in which a message is tried; 0 means for
            ever, None the setting.
        batch: the function takes a list of events, in one transaction.
        upcasts: how older versions of the contract become the one that it takes.
    """

    topic: str
    contract: type[EventData]
    group: str
    function: Callable[[Any], object]
    using: str = "default"
    attempts: int | None = None
    retry_on: tuple[type[Exception], ...] = (Exception,)
    order: Order = "key"
    transactional: bool = False
    fatal_on: tuple[type[Exception], ...] = ()
    ignore_on: tuple[type[Exception], ...] = ()
    backoff: float | None = None
    backoff_max: float | None = None
    give_up_after: float | None = None
    batch: bool = False
    upcasts: Upcasts = field(default_factory=Upcasts)

    @property
    def shares_transaction(self) -> bool:
        """Whether many of its messages may share a transaction."""
        return self.transactional or self.batch

    def call(self, events: Sequence[Event[Any]]) -> None:
        """Call the function: with all events at once, or for one after the other."""
        if self.batch:
            self.function(list(events))
            return
        for event in events:
            self.function(event)

    @property
    def name(self) -> str:
        """The function's dotted path; for a callable object that of its class."""
        named = self.function if hasattr(self.function, "__qualname__") else type(self.function)
        return f"{named.__module__}.{named.__qualname__}"

    def contracts(self) -> dict[int, type[EventData]]:
        """Return what it can read, by version: its own contract and those it has an upcast from."""
        found = (self.contract, *self.upcasts)
        return {contract.event_version: contract for contract in found}

    def claims(self) -> list[str]:
        """Return what only one handler may handle, as texts."""
        return [
            f"type {self.contract.type_name()!r} version {version} of topic {self.topic} in group "
            f"{self.group!r}"
            for version in self.contracts()
        ]


@dataclass
class Registry:
    """Every declaration of the project."""

    publications: list[Publication] = field(default_factory=list)
    handlers: list[Handler] = field(default_factory=list)
    _worked_out: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    _worked_out_from: tuple[list[Publication], int] = field(
        default_factory=lambda: ([], 0), repr=False, compare=False
    )

    def worked_out(self) -> dict[Any, Any]:
        """Return a place for what follows from the publications; it is empty when they change.

        Each save asks which publications it concerns, and they never change once all is loaded.
        """
        known, count = self._worked_out_from
        if known is not self.publications or count != len(known):
            self._worked_out = {}
            self._worked_out_from = self.publications, len(self.publications)
        return self._worked_out

    def add_publication(self, publication: Publication) -> None:
        """Record a publication.

        Raises:
            TopicNameError: the topic's name is not ``domain.action.format``.
            NotAContract: the contract is no subclass of :class:`EventData`.
            ContractMismatch: the contract asks for what the model does not have.
            DeclarationError: it is declared twice, or its condition names an unknown field.
        """
        check_event_topic(publication.topic)
        label = publication.model._meta.label
        require_contract(publication.contract, f"publishes({label}, …)")
        _check_fields(publication)
        if any(_same(publication, other) for other in self.publications):
            raise DeclarationError(
                f"{publication.model._meta.label} already publishes "
                f"{publication.contract.__name__} to {publication.topic}. Remove one of the two "
                "declarations, or join their conditions."
            )
        self.publications.append(publication)

    def add_handler(self, handler: Handler) -> None:
        """Record a handler.

        Raises:
            TopicNameError: the topic's name is not ``domain.action.format``.
            NotAContract: the contract is no subclass of :class:`EventData`.
            GroupNameError: the group's name cannot be used.
            UncallableHandler: the function does not take one argument.
            UnknownOrder: its order is none that there is.
            DeclarationError: an exception stands in two of its lists.
            UnusableUpcast: an upcast begins at no other version of the contract.
            DuplicateHandler: another handler has the same topic, type, version and group.
        """
        check_event_topic(handler.topic)
        declaration = f"@handles({handler.topic!r}, …)"
        require_contract(handler.contract, declaration)
        handler.upcasts.check(handler.contract, declaration)
        check_group(handler.group)
        _check_callable(handler)
        if handler.order not in get_args(Order):
            raise UnknownOrder(handler.name, handler.order, get_args(Order))
        _check_exceptions(handler)
        for other in self.handlers:
            for claim in handler.claims():
                if claim in other.claims():
                    raise DuplicateHandler(claim, other.name, handler.name)
        self.handlers.append(handler)

    def publications_of(self, model: type[Any]) -> list[Publication]:
        """Return the publications declared for ``model`` or for a class that it inherits from.

        A proxy has no rows of its own: what is declared for it counts for every class that saves
        rows of its table.
        """
        return [found for found in self.publications if issubclass(model, found.table)]

    def groups(self) -> dict[str, list[Handler]]:
        """Return the handlers of each consumer group."""
        groups: dict[str, list[Handler]] = defaultdict(list)
        for handler in self.handlers:
            groups[handler.group].append(handler)
        return dict(groups)

    def handlers_of(self, group: str) -> list[Handler]:
        """Return the handlers of one group.

        Raises:
            UnknownGroup: no handler belongs to it; the message lists the known groups.
        """
        groups = self.groups()
        if group not in groups:
            raise UnknownGroup(group, groups)
        return groups[group]

    def topics(self) -> set[str]:
        """Return every topic that is published to or read from."""
        published = {publication.topic for publication in self.publications}
        return published | {handler.topic for handler in self.handlers}

    @contextmanager
    def isolated(self) -> Iterator[Registry]:
        """Empty the registry for the length of a ``with`` block, for tests."""
        saved = self.publications, self.handlers
        self.publications, self.handlers = [], []
        try:
            yield self
        finally:
            self.publications, self.handlers = saved


registry = Registry()


def publishes(
    model: type[Any],
    contract: type[EventData],
    *,
    topic: str,
    when: Condition,
    key: Callable[[Any], object] | None = None,
) -> None:
    """Declare that saving or deleting ``model`` publishes an event.

    Args:
        model: a Django model class. Rows of models that inherit from it count as well, and a
            proxy counts as the model that it stands for: narrow it with ``satisfies`` if you must.
        contract: the event's data; see :class:`EventData` for how it is filled.
        topic: the Kafka topic, ``domain.action.format``.
        when: :data:`created`, :data:`updated`, :data:`deleted`, :func:`changed`,
            :func:`becomes` or :func:`satisfies`.
        key: makes the key from the instance; it is turned into text. Events of one topic and key
            keep their order. By default the primary key.

    Raises:
        DeclarationError: see :meth:`Registry.add_publication`.
    """
    registry.add_publication(Publication(model, contract, topic, when, key))


def handles(
    topic: str,
    contract: type[EventData],
    *,
    group: str | None = None,
    using: str = "default",
    attempts: int | None = None,
    retry_on: tuple[type[Exception], ...] = (Exception,),
    order: Order = "key",
    transactional: bool = False,
    fatal_on: tuple[type[Exception], ...] = (),
    ignore_on: tuple[type[Exception], ...] = (),
    backoff: float | None = None,
    backoff_max: float | None = None,
    give_up_after: float | None = None,
    batch: bool = False,
    upcasts: Mapping[type[EventData], Upcast] | None = None,
) -> Callable[[F], F]:
    """Declare that the decorated function handles a topic's events.

    The function runs inside ``transaction.atomic(using=using)`` together with the record that it
    ran, so its effect in that database happens once per event and group. Several run at a time in
    threads of one process, as far as ``order`` allows.

    Args:
        topic: the Kafka topic to read.
        contract: what the data must satisfy.
        group: the consumer group; by default the setting ``KAFKA_DEFAULT_GROUP``.
        using: alias of the database that the effect goes to.
        attempts: tries before the dead-letter topic; by default ``KAFKA_HANDLER_ATTEMPTS``.
        retry_on: exceptions that are worth another try. Of all the classes named in ``retry_on``,
            ``fatal_on`` and ``ignore_on`` the one closest to the exception's own counts; what none
            of them covers is fatal.
        order: ``"key"``: messages of one key run one after the other, in the order of their
            partition; those without a key count as one key of each partition. ``"partition"``: so
            do all messages of a partition. ``"none"``: each runs when it comes. Where handlers of
            one topic and group differ, the strictest holds for all of them.
        transactional: a promise that it has effects in that database only. Whole batches of
            messages are then handled in one transaction, which is several times faster; if one
            fails, all are rolled back and handled one by one. It holds for a topic whose handlers
            in the group all promise it, on one database. Such a handler is called again for
            messages that were not guilty, and ``transaction.on_commit`` raises in it.
        fatal_on: exceptions after which the message goes to the dead-letter topic at once.
        ignore_on: exceptions after which the message counts as dealt with: what the handler did is
            rolled back, and the inbox keeps the reason.
        backoff: the longest pause after the first try, in seconds; it doubles with each try. By
            default ``KAFKA_HANDLER_BACKOFF_SECONDS``.
        backoff_max: no pause is longer; by default ``KAFKA_HANDLER_BACKOFF_MAX_SECONDS``.
        give_up_after: no try begins more than so many seconds after the first failure, however
            many ``attempts`` are left; 0 means no limit. By default
            ``KAFKA_HANDLER_GIVE_UP_SECONDS``.
        batch: the function takes a list of events, in their order; never an empty one. All that
            ``transactional`` says holds for it too. If it fails, it is called again with halves of
            the list until the guilty event is alone; where it knows them, it names them with
            :class:`RecordsFailed`, and is called again without them. Tried again, an event comes
            in a list of one.
        upcasts: older versions of the contract that the handler takes as well: for each old
            contract a function that makes a newer one of its data, in one step or several. Old and
            new payloads of a topic then reach one function, which sees the newest contract only.

    Raises:
        DeclarationError: see :meth:`Registry.add_handler`.
    """

    def register(function: F) -> F:
        chosen = settings.default_group if group is None else group
        registry.add_handler(
            Handler(
                topic,
                contract,
                chosen,
                function,
                using,
                attempts,
                retry_on,
                order,
                transactional,
                fatal_on,
                ignore_on,
                backoff,
                backoff_max,
                give_up_after,
                batch,
                Upcasts.of(upcasts),
            )
        )
        return function

    return register


def _check_callable(handler: Handler) -> None:
    try:
        inspect.signature(handler.function).bind(object())
    except TypeError as error:
        raise UncallableHandler(handler.name) from error
    except ValueError:
        pass  # written in C without a signature; calling it will tell


def _check_exceptions(handler: Handler) -> None:
    named = Counter((*handler.retry_on, *handler.fatal_on, *handler.ignore_on))
    twice = sorted(kind.__name__ for kind, count in named.items() if count > 1)
    if twice:
        raise DeclarationError(
            f"Handler {handler.name} names {', '.join(twice)} more than once in retry_on, fatal_on "
            "and ignore_on. Name each exception in one of them."
        )


def _same(one: Publication, other: Publication) -> bool:
    return (one.model, one.contract, one.topic) == (other.model, other.contract, other.topic)


def _check_fields(publication: Publication) -> None:
    model = publication.model
    missing = missing_fields(publication.contract, model)
    if missing:
        raise ContractMismatch(publication.contract.__name__, model._meta.label, missing)
    known = {name for f in model._meta.concrete_fields for name in (f.name, f.attname)}
    unknown = [name for name in publication.when.fields if name not in known]
    if unknown:
        raise DeclarationError(
            f"The condition {publication.when} on {model._meta.label} names {', '.join(unknown)}, "
            f"which is no column of it. Its columns: {', '.join(sorted(known))}."
        )
