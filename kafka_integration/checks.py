"""Django's system checks: what is declared in code against what the settings name, and can be.

Topics:

- ``kafka.E001``: a topic that the code publishes or handles is not in the catalogue
- ``kafka.E002``: a handled topic has no dead-letter topic in the catalogue
- ``kafka.E003``: the catalogue is not valid
- ``kafka.E010``: a setting cannot be read
- ``kafka.E011``: security settings that do not go together
- ``kafka.E005``: a topic's format cannot be used with its contract, or not at all
- ``kafka.W003``: relays cannot be woken in this database
- ``kafka.W001``: there is no catalogue
- ``kafka.W002``: a handled topic keeps messages for longer than the inbox remembers them

Models:

- ``kafka.E004``: a model publishes whose rows Django writes without a word
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections

from .broker.config import client_config
from .broker.formats import FormatUnavailable, UnusableContract, topic_format
from .conf import Settings, settings
from .errors import CatalogueError, CatalogueUnreadable, ConfigurationError
from .events.catalogue import Catalogue, catalogue
from .events.contract import EventData
from .events.registry import registry
from .events.topics import dead_letter_topic, format_of

_DAY_MS = 86_400_000
APPLY = "Add it to {path} and run 'manage.py kafka_topics apply'."


@register("kafka")
def check_topics(**kwargs: Any) -> list[CheckMessage]:
    """Compare the topics that the code uses with the catalogue."""
    try:
        found = catalogue()
    except CatalogueUnreadable as error:
        hint = "Point KAFKA_TOPICS_FILE at the catalogue, or write one there."
        return [Error(str(error), hint=hint, id="kafka.E003")]
    except CatalogueError as error:
        hint = f"Correct {error.path}; 'manage.py kafka_topics validate' checks it again."
        return [Error(problem, hint=hint, id="kafka.E003") for problem in error.problems]
    if found is None:
        return [_no_catalogue()] if registry.topics() else []
    return [*_unknown_topics(found), *_missing_dead_letters(found), *_forgotten(found)]


@register("kafka")
def check_models(**kwargs: Any) -> list[CheckMessage]:
    """Refuse publications of tables that Django makes for many-to-many fields.

    It sends no signal for them, and ``add()`` inserts into them with ``ignore_conflicts``. A
    ``through`` model of one's own is written as any other model is.
    """
    models = dict.fromkeys(found.model for found in registry.publications)
    return [_unseen(model) for model in models if model._meta.auto_created]


def _unseen(model: type[Any]) -> CheckMessage:
    return Error(
        f"{model._meta.label} is the table of a many-to-many field, whose rows Django writes "
        "without saying which. Its events would be missing.",
        hint="Declare a model for this table and name it in the field's through=.",
        obj=model,
        id="kafka.E004",
    )


@register("kafka")
def check_formats(**kwargs: Any) -> list[CheckMessage]:
    """Find out at the start, and not at the first message, what a format lacks."""
    published = {(found.topic, found.contract) for found in registry.publications}
    handled = {
        (handler.topic, contract)
        for handler in registry.handlers
        for contract in handler.contracts().values()
    }
    uses = sorted(published | handled, key=lambda use: (use[0], use[1].__name__))
    problems = (_format_problem(topic, contract) for topic, contract in uses)
    found = dict.fromkeys(problem for problem in problems if problem)
    return [Error(problem, id="kafka.E005") for problem in found]


def _format_problem(topic: str, contract: type[EventData]) -> str:
    if format_of(topic) == "json":
        return ""
    try:
        topic_format(topic).check(contract)
    except (FormatUnavailable, UnusableContract) as error:
        return str(error)
    if not settings.schema_registry_url:
        return f"Topic {topic} needs a Schema Registry. Set KAFKA_SCHEMA_REGISTRY_URL."
    return ""


@register("kafka")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Read every setting, and then ask whether those of security go together."""
    unread = [Error(problem, id="kafka.E010") for problem in _unreadable()]
    if unread or not settings.enabled:
        return list(unread)
    try:
        client_config()
    except ConfigurationError as error:
        return [Error(str(error), id="kafka.E011")]
    return list(_unheard())


def _unreadable() -> Iterator[str]:
    for setting in Settings.all():
        try:
            setting.value()
        except ConfigurationError as error:
            yield str(error)


def _unheard() -> Iterator[CheckMessage]:
    vendors = {connections[alias].vendor for alias in connections}
    if settings.outbox_notify and "postgresql" not in vendors:
        yield Warning(
            "KAFKA_OUTBOX_NOTIFY has no effect: only PostgreSQL has NOTIFY, and no database here "
            "is one. Relays look for events by themselves.",
            hint="Leave it false, or set KAFKA_RELAY_IDLE_SECONDS lower.",
            id="kafka.W003",
        )


def _no_catalogue() -> CheckMessage:
    return Warning(
        "KAFKA_TOPICS_FILE is not set, so the names of topics are not checked.",
        hint="Set it to the path of a topic catalogue, which 'manage.py kafka_topics' can apply.",
        id="kafka.W001",
    )


def _unknown_topics(found: Catalogue) -> Iterator[CheckMessage]:
    for topic in sorted(registry.topics()):
        if topic not in found:
            yield Error(
                f"Topic {topic} is not in the catalogue. {_users(topic)}",
                hint=APPLY.format(path=found.path),
                id="kafka.E001",
            )


def _missing_dead_letters(found: Catalogue) -> Iterator[CheckMessage]:
    for topic in sorted({handler.topic for handler in registry.handlers}):
        if topic not in found.dead_letters():
            yield Error(
                f"Topic {topic} is handled and the catalogue has no {dead_letter_topic(topic)} "
                f"for messages that cannot be dealt with. {_users(topic)}",
                hint=APPLY.format(path=found.path) + f" It needs 'dead_letter_of: {topic}'.",
                id="kafka.E002",
            )


def _forgotten(found: Catalogue) -> Iterator[CheckMessage]:
    days = settings.inbox_retention_days
    for topic in sorted({handler.topic for handler in registry.handlers if handler.topic in found}):
        kept = int(found.check(topic).config.get("retention.ms", -1)) / _DAY_MS
        if 0 <= kept < days:
            continue
        how_long = f"for {kept:g} days" if kept >= 0 else "for ever"
        yield Warning(
            f"Topic {topic} keeps its messages {how_long}, and a purge makes the inbox forget them "
            f"after {days:g} days: read anew, they would be handled again. {_users(topic)}",
            hint="Set KAFKA_INBOX_RETENTION_DAYS to more days than the topic's retention.",
            id="kafka.W002",
        )


def _users(topic: str) -> str:
    models = [p.model._meta.label for p in registry.publications if p.topic == topic]
    handlers = [handler.name for handler in registry.handlers if handler.topic == topic]
    published = f"Published by {', '.join(dict.fromkeys(models))}. " if models else ""
    handled = f"Handled by {', '.join(handlers)}." if handlers else ""
    return (published + handled).strip()
