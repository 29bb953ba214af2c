"""The catalogue: every topic that the project uses, as code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..conf import settings
from ..errors import CatalogueError, TopicNameError, UnknownTopic
from .catalogue_file import CatalogueFile, Entry, Layer, entries, read
from .letter_size import SIZE, size_problems, with_room
from .topics import DEAD_LETTER_SUFFIX, Topic, check_event_topic, dead_letter_topic


@dataclass(frozen=True)
class Catalogue:
    """The topics of one environment, in the order of the file.

    Args:
        path: the file that they come from.
        environment: which of its environments applies.
        topics: by name.
    """

    path: str
    environment: str
    topics: Mapping[str, Topic]

    @classmethod
    def load(cls, path: str | Path, environment: str) -> Catalogue:
        """Return the catalogue that a file holds.

        Raises:
            CatalogueError: the file cannot be read or breaks a rule; it names every problem.
        """
        file = read(Path(path))
        found, problems = entries(file.topics)
        problems = [
            *_environment_problems(file, environment),
            *problems,
            *_repeated(file.topics),
            *_name_problems(found, _names(file.topics)),
        ]
        layers = [file.defaults, file.environments.get(environment, Layer())]
        topics = [_topic(entry, found, layers, file.dead_letters) for entry in found]
        topics = [with_room(topic, _served(topic, topics)) for topic in topics]
        problems += [problem for topic in topics for problem in _value_problems(topic, topics)]
        if problems:
            raise CatalogueError(str(path), problems)
        return cls(str(path), environment, {topic.name: topic for topic in topics})

    def get(self, name: str) -> Topic | None:
        """Return the topic of that name, or None."""
        return self.topics.get(name)

    def check(self, name: str) -> Topic:
        """Return the topic of that name.

        Raises:
            UnknownTopic: the catalogue does not hold it.
        """
        if name not in self.topics:
            raise UnknownTopic(name, self.path)
        return self.topics[name]

    def __contains__(self, name: object) -> bool:
        return name in self.topics

    def __iter__(self) -> Iterator[Topic]:
        return iter(self.topics.values())

    def __len__(self) -> int:
        return len(self.topics)

    def event_topics(self) -> list[Topic]:
        """Return the topics that carry events."""
        return [topic for topic in self if topic.dead_letter_of is None]

    def dead_letters(self) -> dict[str, Topic]:
        """Return the dead-letter topics by the name of the topic that they serve."""
        return {topic.dead_letter_of: topic for topic in self if topic.dead_letter_of}


def catalogue() -> Catalogue | None:
    """Return the catalogue that the settings name, or None if they name none.

    It is read once and again whenever the file, its time or the environment changes.

    Raises:
        CatalogueError: ``KAFKA_TOPICS_FILE`` names a file that is not there or not valid.
    """
    path = settings.topics_file
    if not path:
        return None
    try:
        changed = Path(path).stat().st_mtime_ns
    except OSError:
        # load() says why it cannot be read, and what to do.
        return Catalogue.load(path, settings.topics_environment)
    return _cached(str(path), changed, settings.topics_environment)


def check_catalogued(topic: str) -> None:
    """Check that the catalogue holds ``topic``; without a catalogue every topic passes.

    Raises:
        UnknownTopic: it does not.
        CatalogueError: the catalogue itself is not valid.
    """
    found = catalogue()
    if found is not None:
        found.check(topic)


@lru_cache(maxsize=8)
def _cached(path: str, changed: int, environment: str) -> Catalogue:
    return Catalogue.load(path, environment)


def _topic(
    entry: Entry, others: Iterable[Entry], layers: Iterable[Layer], dead_letters: Layer
) -> Topic:
    """Return the topic that an entry means once all layers are laid over each other."""
    of_kind = [dead_letters] if entry.dead_letter_of else []
    config: dict[str, str] = {}
    replication_factor = 1
    for layer in layers:
        config |= layer.settings()
        replication_factor = layer.replication_factor or replication_factor
    if entry.dead_letter_of:
        config.pop(SIZE, None)  # what holds for events is too little for their dead letters
    for layer in (*of_kind, entry):
        config |= layer.settings()
        replication_factor = layer.replication_factor or replication_factor
    return Topic(
        entry.name,
        _partitions(entry, others),
        replication_factor,
        config,
        entry.dead_letter_of,
        entry.description,
    )


def _served(topic: Topic, topics: Iterable[Topic]) -> Topic | None:
    events = (other for other in topics if other.dead_letter_of is None)
    return next((other for other in events if other.name == topic.dead_letter_of), None)


def _partitions(entry: Entry, others: Iterable[Entry]) -> int:
    served = (other.partitions for other in others if other.name == entry.dead_letter_of)
    return entry.partitions or next(served, None) or 1


def _names(topics: Iterable[object]) -> list[str]:
    return [str(item["name"]) for item in topics if isinstance(item, dict) and "name" in item]


def _environment_problems(file: CatalogueFile, environment: str) -> list[str]:
    if not file.environments or environment in file.environments:
        return []  # a file that names none says the same everywhere
    return [
        f"Environment {environment!r} is not in the file, which has "
        f"{', '.join(file.environments)}. Set KAFKA_TOPICS_ENVIRONMENT to one of them "
        "or add it under 'environments'."
    ]


def _repeated(topics: Iterable[object]) -> list[str]:
    return [
        f"Topic {name} is listed {count} times; keep one entry."
        for name, count in Counter(_names(topics)).items()
        if count > 1
    ]


def _name_problems(found: Iterable[Entry], names: list[str]) -> Iterator[str]:
    for entry in found:
        problem = _dead_letter_problem(entry, names) or _event_problem(entry)
        if problem:
            yield problem
        domain = entry.name.partition(".")[0]
        if entry.domain not in (None, domain):
            yield (
                f"Topic {entry.name}: its domain is given as {entry.domain!r} and its name says "
                f"{domain!r}; correct one of the two."
            )


def _event_problem(entry: Entry) -> str | None:
    if entry.dead_letter_of is not None:
        return None
    if entry.name.endswith(DEAD_LETTER_SUFFIX):
        return (
            f"Topic {entry.name}: its name is that of a dead-letter topic; say whose dead letters "
            "it takes with 'dead_letter_of'."
        )
    try:
        check_event_topic(entry.name)
    except TopicNameError as error:
        return str(error)
    if entry.partitions is None:
        return f"Topic {entry.name}: partitions is missing; add it."
    return None


def _dead_letter_problem(entry: Entry, names: list[str]) -> str | None:
    served = entry.dead_letter_of
    if served is None:
        return None
    if served not in names or served.endswith(DEAD_LETTER_SUFFIX):
        return (
            f"Topic {entry.name}: it takes the dead letters of {served}, which is no event topic "
            f"of the catalogue; add {served} or correct 'dead_letter_of'."
        )
    if entry.name != dead_letter_topic(served):
        return (
            f"Topic {entry.name}: the dead letters of {served} go to {dead_letter_topic(served)}; "
            "rename it."
        )
    return None


def _value_problems(topic: Topic, topics: Iterable[Topic]) -> Iterator[str]:
    yield from size_problems(topic, _served(topic, topics))
    in_sync = topic.config.get("min.insync.replicas", "1")
    if not in_sync.isdigit() or not 1 <= int(in_sync) <= topic.replication_factor:
        yield (
            f"Topic {topic.name}: min.insync.replicas is {in_sync} and replication_factor is "
            f"{topic.replication_factor}, so Kafka would take no event; lower the first, to 1 at "
            "the least, or raise the second."
        )
    if "retention.ms" not in topic.config and topic.config.get("cleanup.policy") != "compact":
        yield f"Topic {topic.name}: retention_days is missing; say how long Kafka keeps its events."
