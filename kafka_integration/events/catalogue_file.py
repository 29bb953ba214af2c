"""The topic catalogue as it is written: a YAML file, read and checked for its shape."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from ..errors import CatalogueError, CatalogueUnreadable

M = TypeVar("M", bound=BaseModel)

# What Kafka 3.6 to 4.3 call a topic's settings (kafka-configs.sh --describe --all).
CONFIG_NAMES = frozenset(
    [
        "cleanup.policy",
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.type",
        "compression.zstd.level",
        "delete.retention.ms",
        "file.delete.delay.ms",
        "flush.messages",
        "flush.ms",
        "follower.replication.throttled.replicas",
        "index.interval.bytes",
        "leader.replication.throttled.replicas",
        "local.retention.bytes",
        "local.retention.ms",
        "max.compaction.lag.ms",
        "max.message.bytes",
        "message.downconversion.enable",
        "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms",
        "message.timestamp.difference.max.ms",
        "message.timestamp.type",
        "min.cleanable.dirty.ratio",
        "min.compaction.lag.ms",
        "min.insync.replicas",
        "preallocate",
        "remote.log.copy.disable",
        "remote.log.delete.on.disable",
        "remote.storage.enable",
        "retention.bytes",
        "retention.ms",
        "segment.bytes",
        "segment.index.bytes",
        "segment.jitter.ms",
        "segment.ms",
        "unclean.leader.election.enable",
    ]
)

_MERGE = "tag:yaml.org,2002:merge"

_HINTS = {
    "extra_forbidden": "is not a key that the catalogue knows; remove it or correct its spelling",
    "missing": "is missing; add it",
    "greater_than": "must be more than 0",
    "greater_than_equal": "must be 1 or more",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "string_type": "must be text",
    "string_too_short": "is empty; write one line",
    "list_type": "must be a list, each item beginning with '- name:'",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
}


def _config_name(name: str) -> str:
    if name not in CONFIG_NAMES:
        raise ValueError("is not a topic setting of Kafka's; correct its spelling")
    return name


ConfigName = Annotated[str, AfterValidator(_config_name)]
Count = Annotated[int, Field(ge=1)]
Days = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Layer(BaseModel):
    """Values that hold for many topics, as ``defaults`` or for one environment."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    replication_factor: Count | None = None
    retention_days: Days | None = None
    config: dict[ConfigName, bool | int | float | str] = {}

    @model_validator(mode="after")
    def _says_retention_once(self) -> Self:
        if self.retention_days is not None and "retention.ms" in self.config:
            raise ValueError("gives retention_days and config retention.ms; keep one of them")
        return self

    def settings(self) -> dict[str, str]:
        """Return Kafka's settings, values as the text that Kafka shows."""
        found = {name: _text(value) for name, value in self.config.items()}
        if self.retention_days is not None:
            found["retention.ms"] = str(round(self.retention_days * 86_400_000))
        return found


class Entry(Layer):
    """One topic of the file."""

    name: str
    description: str = Field(min_length=1)
    domain: str | None = None
    partitions: Count | None = None
    dead_letter_of: str | None = None


class CatalogueFile(BaseModel):
    """The whole file. Topics are checked one by one, so that every problem is found at once."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    defaults: Layer = Layer()
    environments: dict[str, Layer] = {}
    dead_letters: Layer = Layer()
    topics: list[Any]


class _Loader(yaml.SafeLoader):
    """Refuses what YAML forbids and PyYAML lets pass: a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: list[Any] = []
        for written, _ in node.value:
            key = written.value
            if key in seen and written.tag != _MERGE:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} is given twice; remove one",
                    problem_mark=written.start_mark,
                )
            seen.append(key)
        return super().construct_mapping(node, deep)


def read(path: Path) -> CatalogueFile:
    """Return the file's content.

    Args:
        path: the YAML file.

    Raises:
        CatalogueError: there is no such file, it is no YAML, or its outer shape is wrong.
    """
    file, problems = parse(CatalogueFile, _load(path), "The file")
    if file is None:
        raise CatalogueError(str(path), problems)
    return file


def entries(topics: Iterable[Any]) -> tuple[list[Entry], list[str]]:
    """Return the topics that have the right shape, and what is wrong with the others."""
    found: list[Entry] = []
    problems: list[str] = []
    for position, item in enumerate(topics, start=1):
        name = item.get("name") if isinstance(item, dict) else None
        entry, wrong = parse(Entry, item, f"Topic {name or f'number {position}'}")
        found += [entry] if entry else []
        problems += wrong
    return found, problems


def parse(model: type[M], data: Any, what: str) -> tuple[M | None, list[str]]:
    """Return ``data`` as a ``model``, or None and its problems as sentences about ``what``."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        return None, list(dict.fromkeys(f"{what}: {_sentence(detail)}" for detail in details))


def _load(path: Path) -> Any:
    try:
        # A subclass of SafeLoader, which makes plain values only.
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except OSError as error:
        raise CatalogueUnreadable(str(path.absolute()), str(error.strerror)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogueError(str(path), [f"It is not valid YAML: {error}"]) from error


def _sentence(detail: Any) -> str:
    kind, place = detail["type"], [str(part) for part in detail["loc"] if part != "[key]"]
    if place[:1] == ["config"]:
        # One line for a value's name, not one for each type that it could have had.
        place = place[:2]
        message = "must be text, a number, true or false"
    else:
        message = _HINTS.get(kind, f"is not usable: {detail['msg']}")
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
    return f"{' '.join(place) or 'its content'} {message}."


def _text(value: bool | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
