"""The package's settings, read on access.

Each setting has one name. It is looked up in Django's settings first, so that
``override_settings`` works, and then in the environment through django-environ.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, overload

import environ
from django.conf import ENVIRONMENT_VARIABLE
from django.conf import settings as django_settings
from django.utils.functional import empty

from .errors import ConfigurationError

T = TypeVar("T")

_ABSENT = object()
_TRUE = ("true", "yes", "on", "1", "y", "t", "ok")
_FALSE = ("false", "no", "off", "0", "n", "f")
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


def in_container() -> bool:
    """Tell whether this process runs inside a Docker, Podman or Kubernetes container."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(
        Path(mark).exists() for mark in _CONTAINER_MARKS
    )


def default_broker() -> str:
    """Return the address of Kafka's listener that fits where this process runs."""
    return "kafka:9092" if in_container() else "localhost:29092"


def _of_django(name: str) -> object:
    # Read from what stands behind Django's lazy object, where it is set up: the object itself makes
    # an error of every name that is not there, and a save asks for several.
    behind: object = django_settings._wrapped  # type: ignore[misc]  # unknown to the stubs
    if behind is not empty:
        return getattr(behind, name, _ABSENT)
    return getattr(django_settings, name, _ABSENT) if _has_django_settings() else _ABSENT


def _has_django_settings() -> bool:
    # A plain script has none: for the plain clients the environment is enough.
    return django_settings.configured or ENVIRONMENT_VARIABLE in os.environ


def keeps_time_zones() -> bool:
    """Tell whether this project's times are aware (Django's ``USE_TZ``)."""
    return bool(django_settings.USE_TZ)


def is_debugging() -> bool:
    """Tell whether this project runs in development (Django's ``DEBUG``)."""
    return bool(django_settings.DEBUG)


def _names_and_values(env: environ.Env, name: str) -> dict[str, str]:
    """Return ``name=value,name=value`` as a mapping; a value may hold further ``=``."""
    found: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in env.str(name).split(","))):
        key, equals, value = item.partition("=")
        if not (key and equals):
            raise ConfigurationError(f"{name}: {item!r} is not name=value.")
        found[key.strip()] = value.strip()
    return found


def _truth(env: environ.Env, name: str) -> bool:
    """Read a switch; django-environ takes whatever it does not know for false."""
    text = env.str(name).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"{text!r} is neither of {', '.join(_TRUE)} nor of {', '.join(_FALSE)}")


def _number(env: environ.Env, name: str) -> float:
    """Read a number; django-environ drops what it does not know, as the m of 2m."""
    return float(env.str(name))


def _names(env: environ.Env, name: str) -> tuple[str, ...]:
    """Read names separated by commas."""
    return tuple(filter(None, (part.strip() for part in env.str(name).split(","))))


class Setting(Generic[T]):
    """One setting: its name, how the environment's text becomes a value, its default, its meaning.

    Args:
        name: the name in Django's settings and in the environment.
        read: a method of ``environ.Env`` that converts the environment's text.
        default: the value, or a function that makes it on each access.
        help: one line for the documentation.
        least: the lowest number that makes sense.
    """

    def __init__(
        self,
        name: str,
        read: Callable[..., Any],
        default: T | Callable[[], T],
        help: str,
        *,
        least: float | None = None,
    ) -> None:
        self.name = name
        self.read = read
        self.default = default
        self.help = help
        self.least = least
        self.kinds = _KINDS[read]

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Setting[T] | T:
        return self if instance is None else self.value()

    def value(self) -> T:
        """Return the value in force now.

        Raises:
            ConfigurationError: the environment's text cannot be converted, Django's value is of
                another type, or the number makes no sense.
        """
        found = _of_django(self.name)
        if found is not _ABSENT:
            return self._in_range(self._checked(found))
        if os.environ.get(self.name):
            return self._in_range(self._from_environment())
        return self.default() if callable(self.default) else self.default

    def _checked(self, found: Any) -> T:
        is_kind = isinstance(found, self.kinds)
        if not is_kind or (isinstance(found, bool) and bool not in self.kinds):
            # The value itself may be a secret.
            raise ConfigurationError(
                f"{self.name} in Django's settings is of type {type(found).__name__}, and "
                f"{self.kinds[0].__name__} is needed. It means: {self.help}"
            )
        return cast(T, found)

    def _in_range(self, value: T) -> T:
        # Written so that "not a number", which is neither above nor below, is refused as well.
        if self.least is not None and not cast("float", value) >= self.least:
            raise ConfigurationError(
                f"{self.name} is {value}, and must be at least {self.least:g}. "
                f"It means: {self.help}"
            )
        return value

    def _from_environment(self) -> T:
        try:
            value: T = self.read(environ.Env(), self.name)
        except (ValueError, environ.ImproperlyConfigured) as error:
            raise ConfigurationError(
                f"{self.name} in the environment cannot be read as {self.kinds[0].__name__}: "
                f"{error}. It means: {self.help}"
            ) from error
        return value


# What Django's settings may hold for each way of reading: a path is as good as its text.
_KINDS: dict[Callable[..., Any], tuple[type, ...]] = {
    _truth: (bool,),
    environ.Env.str: (str, os.PathLike),
    environ.Env.int: (int,),
    _number: (float, int),
    _names: (tuple, list),
    _names_and_values: (Mapping,),
}


class Settings:
    """All settings, as typed attributes; see the table in ``README.md``."""

    enabled = Setting[bool](
        "KAFKA_ENABLED",
        _truth,
        True,
        "False: models save without events, and relay and consumers refuse to start.",
    )
    broker = Setting[str](
        "KAFKA_BROKER",
        environ.Env.str,
        default_broker,
        "Bootstrap servers, host:port, separated by commas.",
    )
    client_id = Setting[str](
        "KAFKA_CLIENT_ID",
        environ.Env.str,
        "kafka-integration",
        "Name under which the broker logs our clients.",
    )
    source = Setting[str](
        "KAFKA_SOURCE",
        environ.Env.str,
        "django",
        "The ce_source of published events: a URI reference that names this application.",
    )
    topics_file = Setting[str](
        "KAFKA_TOPICS_FILE",
        environ.Env.str,
        "",
        "Path of the topic catalogue. Empty: topics are not checked.",
    )
    topics_environment = Setting[str](
        "KAFKA_TOPICS_ENVIRONMENT",
        environ.Env.str,
        "development",
        "Which overrides of the catalogue apply: development or production.",
    )
    default_group = Setting[str](
        "KAFKA_DEFAULT_GROUP",
        environ.Env.str,
        "default",
        "The consumer group of handlers that name none.",
    )
    group_prefix = Setting[str](
        "KAFKA_GROUP_PREFIX",
        environ.Env.str,
        "",
        "Put before every group id in Kafka, so that environments can share a cluster.",
    )
    security_protocol = Setting[str](
        "KAFKA_SECURITY_PROTOCOL",
        environ.Env.str,
        "PLAINTEXT",
        "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    sasl_mechanism = Setting[str](
        "KAFKA_SASL_MECHANISM",
        environ.Env.str,
        "SCRAM-SHA-512",
        "How user name and password are proven.",
    )
    sasl_username = Setting[str](
        "KAFKA_SASL_USERNAME",
        environ.Env.str,
        "",
        "User name for SASL.",
    )
    sasl_password = Setting[str](
        "KAFKA_SASL_PASSWORD",
        environ.Env.str,
        "",
        "Password for SASL; never logged.",
    )
    ssl_ca_location = Setting[str](
        "KAFKA_SSL_CA_LOCATION",
        environ.Env.str,
        "",
        "PEM file of the authorities that signed the brokers' certificates.",
    )
    ssl_certificate_location = Setting[str](
        "KAFKA_SSL_CERTIFICATE_LOCATION",
        environ.Env.str,
        "",
        "PEM file of our own certificate, for mutual TLS.",
    )
    ssl_key_location = Setting[str](
        "KAFKA_SSL_KEY_LOCATION",
        environ.Env.str,
        "",
        "PEM file of our private key, for mutual TLS.",
    )
    ssl_key_password = Setting[str](
        "KAFKA_SSL_KEY_PASSWORD",
        environ.Env.str,
        "",
        "Password of the private key; never logged.",
    )
    client_options = Setting[Mapping[str, str]](
        "KAFKA_CLIENT_OPTIONS",
        _names_and_values,
        dict,
        "Any further librdkafka properties, as name=value,name=value.",
    )
    max_message_bytes = Setting[int](
        "KAFKA_MAX_MESSAGE_BYTES",
        environ.Env.int,
        1_000_000,
        "Largest event taken at write time: key, value and headers together.",
        least=1,
    )
    relay_batch_size = Setting[int](
        "KAFKA_RELAY_BATCH_SIZE",
        environ.Env.int,
        500,
        "Events that the relay reads, sends and records at once.",
        least=1,
    )
    relay_lease_seconds = Setting[float](
        "KAFKA_RELAY_LEASE_SECONDS",
        _number,
        15.0,
        "After this long without a sign of life another relay takes over.",
        least=0.1,
    )
    relay_idle_seconds = Setting[float](
        "KAFKA_RELAY_IDLE_SECONDS",
        _number,
        0.2,
        "Pause between two looks at an empty outbox, when it has been empty for a while.",
        least=0,
    )
    outbox_notify = Setting[bool](
        "KAFKA_OUTBOX_NOTIFY",
        _truth,
        False,
        "True: commits wake idle relays at once (PostgreSQL's NOTIFY), which costs writers a lock.",
    )
    relay_listen_database = Setting[str](
        "KAFKA_RELAY_LISTEN_DATABASE",
        environ.Env.str,
        "",
        "Alias of a connection past PgBouncer for a relay that listens. Empty: the outbox's own.",
    )
    relay_crashes = Setting[int](
        "KAFKA_RELAY_CRASHES",
        environ.Env.int,
        3,
        "Relays that may die while they hand over one event, before its key is held.",
        least=1,
    )
    relay_exactly_once = Setting[bool](
        "KAFKA_RELAY_EXACTLY_ONCE",
        _truth,
        False,
        "Publish in Kafka transactions, each event once; PostgreSQL and Kafka 4 only.",
    )
    transactional_id_prefix = Setting[str](
        "KAFKA_TRANSACTIONAL_ID_PREFIX",
        environ.Env.str,
        "kafka-outbox",
        "Begins the ids of exactly-once producers; each outbox on a cluster needs its own.",
    )
    progress_topic = Setting[str](
        "KAFKA_PROGRESS_TOPIC",
        environ.Env.str,
        "outbox.relay_progress.json",
        "The compacted topic in which exactly-once relays note how far they are.",
    )
    outbox_retention_days = Setting[float](
        "KAFKA_OUTBOX_RETENTION_DAYS",
        _number,
        7.0,
        "Days that an event is kept after it went out; a purge deletes older ones.",
        least=0,
    )
    inbox_retention_days = Setting[float](
        "KAFKA_INBOX_RETENTION_DAYS",
        _number,
        35.0,
        "Days that a handled message is remembered; more than any topic that is read keeps it.",
        least=0,
    )
    handler_attempts = Setting[int](
        "KAFKA_HANDLER_ATTEMPTS",
        environ.Env.int,
        3,
        "How often a handler is tried before its message goes to the dead-letter topic.",
        least=1,
    )
    handler_backoff_seconds = Setting[float](
        "KAFKA_HANDLER_BACKOFF_SECONDS",
        _number,
        0.5,
        "Pause before the second try; each further pause is twice as long.",
        least=0,
    )
    handler_backoff_max_seconds = Setting[float](
        "KAFKA_HANDLER_BACKOFF_MAX_SECONDS",
        _number,
        30.0,
        "The longest pause between two tries.",
        least=0,
    )
    handler_in_place_seconds = Setting[float](
        "KAFKA_HANDLER_IN_PLACE_SECONDS",
        _number,
        5.0,
        "A message whose pauses add up to more is parked: the database keeps it until then.",
    )
    handler_give_up_seconds = Setting[float](
        "KAFKA_HANDLER_GIVE_UP_SECONDS",
        _number,
        0.0,
        "No try begins later than this after a message's first failure. 0: no limit.",
    )
    handler_crashes = Setting[int](
        "KAFKA_HANDLER_CRASHES",
        environ.Env.int,
        3,
        "Processes that may die while they handle one message, before it is given up.",
    )
    parked_per_key = Setting[int](
        "KAFKA_PARKED_PER_KEY",
        environ.Env.int,
        10_000,
        "Parked messages of one key that the database keeps at most; later ones wait in memory.",
    )
    consume_workers = Setting[int](
        "KAFKA_CONSUME_WORKERS",
        environ.Env.int,
        0,
        "Handlers that a consumer runs at a time. 0: four, and one where SQLite is written to.",
        least=0,
    )
    consume_in_flight = Setting[int](
        "KAFKA_CONSUME_IN_FLIGHT",
        environ.Env.int,
        1_000,
        "Messages that a consumer has in memory at most, waiting or being handled.",
        least=1,
    )
    consume_in_flight_bytes = Setting[int](
        "KAFKA_CONSUME_IN_FLIGHT_BYTES",
        environ.Env.int,
        32 * 1024 * 1024,
        "The same in bytes: no more is fetched while they hold as much.",
        least=1,
    )
    consume_drain_seconds = Setting[float](
        "KAFKA_CONSUME_DRAIN_SECONDS",
        _number,
        20.0,
        "How long running handlers are waited for at the end, or when partitions are taken away.",
        least=0,
    )
    handler_stall_seconds = Setting[float](
        "KAFKA_HANDLER_STALL_SECONDS",
        _number,
        30.0,
        "A handler that runs longer is named in the log.",
        least=0.1,
    )
    schema_registry_url = Setting[str](
        "KAFKA_SCHEMA_REGISTRY_URL",
        environ.Env.str,
        "",
        "Address of the Schema Registry, for topics in Avro and Protobuf.",
    )
    schema_registry_username = Setting[str](
        "KAFKA_SCHEMA_REGISTRY_USERNAME",
        environ.Env.str,
        "",
        "User name for the Schema Registry.",
    )
    schema_registry_password = Setting[str](
        "KAFKA_SCHEMA_REGISTRY_PASSWORD",
        environ.Env.str,
        "",
        "Password for the Schema Registry; never logged.",
    )
    schema_registry_options = Setting[Mapping[str, str]](
        "KAFKA_SCHEMA_REGISTRY_OPTIONS",
        _names_and_values,
        dict,
        "Any further options of Confluent's client for it, as name=value,name=value.",
    )
    schema_auto_register = Setting[bool](
        "KAFKA_SCHEMA_AUTO_REGISTER",
        _truth,
        True,
        "False: a schema must be registered by other means before its first event.",
    )
    schema_subject = Setting[str](
        "KAFKA_SCHEMA_SUBJECT",
        environ.Env.str,
        "topic",
        "What a schema is registered for: topic, record or topic_record.",
    )
    asyncapi_version = Setting[str](
        "KAFKA_ASYNCAPI_VERSION",
        environ.Env.str,
        "1.0.0",
        "The version of this project's events, as its AsyncAPI document gives it.",
    )
    asyncapi_public = Setting[bool](
        "KAFKA_ASYNCAPI_PUBLIC",
        _truth,
        False,
        "True: the AsyncAPI page is open to everybody, not to staff alone.",
    )

    gateway_topics = Setting[Sequence[str]](
        "KAFKA_GATEWAY_TOPICS",
        _names,
        (),
        "Topics that the HTTP gateway takes events for, separated by commas. Empty: none.",
    )
    gateway_tokens = Setting[Mapping[str, str]](
        "KAFKA_GATEWAY_TOKENS",
        _names_and_values,
        dict,
        "Who may send without a session: name=SHA-256 of the token, separated by commas.",
    )
    gateway_max_events = Setting[int](
        "KAFKA_GATEWAY_MAX_EVENTS",
        environ.Env.int,
        100,
        "Most events that one request to the gateway may hold.",
        least=1,
    )
    gateway_max_bytes = Setting[int](
        "KAFKA_GATEWAY_MAX_BYTES",
        environ.Env.int,
        1_000_000,
        "Largest body that the gateway reads.",
        least=1,
    )
    gateway_events_per_minute = Setting[int](
        "KAFKA_GATEWAY_EVENTS_PER_MINUTE",
        environ.Env.int,
        600,
        "Events that one user or token may send in a minute; a request counts as one at least.",
        least=1,
    )
    gateway_retention_days = Setting[float](
        "KAFKA_GATEWAY_RETENTION_DAYS",
        _number,
        14.0,
        "Days for which an idempotency key is remembered, before a purge forgets it.",
        least=0,
    )
    metrics_port = Setting[int](
        "KAFKA_METRICS_PORT",
        environ.Env.int,
        0,
        "Port on which relay and consumer show metrics and health. 0: none.",
        least=0,
    )
    metrics_address = Setting[str](
        "KAFKA_METRICS_ADDRESS",
        environ.Env.str,
        "127.0.0.1",
        "Address of that port. 0.0.0.0: every interface, which a container needs.",
    )
    metrics_token = Setting[str](
        "KAFKA_METRICS_TOKEN",
        environ.Env.str,
        "",
        "What Prometheus must show as bearer token to the metrics view of the web; never logged.",
    )
    health_seconds = Setting[float](
        "KAFKA_HEALTH_SECONDS",
        _number,
        60.0,
        "A relay or consumer whose loop stands still for longer counts as dead.",
        least=1,
    )

    @classmethod
    def all(cls) -> list[Setting[Any]]:
        """Return every setting, in the order of the documentation."""
        return [value for value in vars(cls).values() if isinstance(value, Setting)]


settings = Settings()
