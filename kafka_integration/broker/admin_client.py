"""Kafka's admin client, with every request bounded in time and every error in our words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from ..conf import settings
from ..errors import AuthenticationFailed, BrokerError, BrokerUnavailable, DeliveryFailed
from .config import client_config, explain, make_client

K = TypeVar("K")
T = TypeVar("T")

_FORBIDDEN = frozenset(
    {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}
)


class BoundedAdminClient:
    """Sends requests and waits for their answers, never longer than a time-out.

    Args:
        timeout: seconds that any one request may take.
        overrides: librdkafka properties, with ``_`` for a dot; see :func:`client_config`.
    """

    def __init__(self, timeout: float, **overrides: Any) -> None:
        self.timeout = timeout
        self._errors: list[KafkaError] = []
        # Errors are raised from here with their cure; librdkafka need not print them too.
        quiet = {"error_cb": self._errors.append, "log_level": 0}
        self._client = make_client(AdminClient, client_config(**overrides) | quiet)
        self._connected = False

    def metadata(self, topic: str | None = None) -> ClusterMetadata:
        """Return what the cluster says of itself, and of one topic or of all.

        Patience is short at first: librdkafka goes on trying with a password that was refused
        and tells of the refusal only between two calls.

        Raises:
            BrokerUnavailable: no answer came in time.
            AuthenticationFailed: our credentials were refused.
        """
        deadline = time.monotonic() + self.timeout
        patience = 0.5
        while True:
            left = deadline - time.monotonic()
            try:
                answer = self._list_topics(topic, max(0.1, min(patience, left)))
            except KafkaException as error:
                cause = self.explained(error.args[0], topic or "")
                if isinstance(cause, AuthenticationFailed) or left <= patience:
                    raise cause from error
            else:
                self._connected = True
                return answer
            patience *= 2

    def ask(self, request: Callable[..., Mapping[K, Future[T]]]) -> dict[K, T | BrokerError]:
        """Send a request about several things and return the answer, or the error, for each.

        Args:
            request: takes the client and the keyword argument ``request_timeout``.

        Raises:
            BrokerUnavailable: no answer came in time.
            AuthenticationFailed: our credentials were refused.
        """
        if not self._connected:
            self.metadata()
        try:
            futures = request(self._client, request_timeout=self.timeout)
        except KafkaException as error:
            raise self.explained(error.args[0]) from error
        answers: dict[K, T | BrokerError] = {}
        for about, future in futures.items():
            try:
                answer = self._result(future, about)
            except (BrokerUnavailable, AuthenticationFailed):
                raise
            except BrokerError as error:
                answers[about] = error
            else:
                answers[about] = answer
        return answers

    def explained(self, error: KafkaError, topic: str = "") -> BrokerError:
        """Return the exception of ours that says what ``error`` means and how to cure it.

        A time-out is explained by what librdkafka told its callback in the meantime.
        """
        self._errors.clear()
        self._client.poll(0)
        found = explain(error, topic)
        if isinstance(found, BrokerUnavailable):
            return _cause(self._errors) or found
        if error.code() in _FORBIDDEN:
            user = settings.sasl_username or "our client"
            return BrokerError(f"Kafka forbids this: {error.str()}. Give {user} the ACLs for it.")
        if isinstance(found, DeliveryFailed):
            about = f" about {topic}" if topic else ""
            return BrokerError(f"Kafka refused a request{about}: {error.str()}")
        return found

    def _list_topics(self, topic: str | None, timeout: float) -> ClusterMetadata:
        if topic is None:
            return self._client.list_topics(timeout=timeout)
        return self._client.list_topics(topic, timeout=timeout)

    def _result(self, future: Future[T], about: object) -> T:
        try:
            # The request ends by its own time-out; the second more is for a client that hangs.
            return future.result(timeout=self.timeout + 1)
        except KafkaException as error:
            name = getattr(about, "name", str(about))
            raise self.explained(error.args[0], name) from error
        except FutureTimeout as error:
            raise BrokerUnavailable(settings.broker, "the request timed out") from error


def _cause(errors: list[KafkaError]) -> BrokerError | None:
    """Return what stands behind a time-out: a refusal, or else the latest failed connection."""
    causes = [explain(error) for error in errors if error.code() != KafkaError._ALL_BROKERS_DOWN]
    refused = [cause for cause in causes if isinstance(cause, AuthenticationFailed)]
    failed = [cause for cause in causes if isinstance(cause, BrokerUnavailable)]
    return next(iter(refused[-1:] or failed[-1:]), None)
