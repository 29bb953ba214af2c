"""Every error this package raises, in one tree.

::

    KafkaIntegrationError
    ├── ConfigurationError         a setting is wrong or missing
    ├── DeclarationError           an events.py says something that cannot be
    │   ├── TopicNameError
    │   ├── UnknownTopic
    │   ├── ContractMismatch
    │   ├── DuplicateHandler
    │   ├── GroupNameError
    │   ├── HookRefused
    │   ├── NotAContract
    │   ├── UncallableHandler
    │   ├── UnknownGroup
    │   └── UnknownOrder
    ├── CatalogueError             topics.yaml is not valid
    │   └── CatalogueUnreadable
    ├── OutboxBusy                 another relay holds what waits and does not send it
    ├── OutboxNotEmpty             the shard count is to be changed while events wait
    ├── OutboxInUse                the shard count is to be changed under an open transaction
    ├── ClusterChanged             this is not the Kafka that the outbox was sent to
    ├── BatchInDoubt               nobody can tell whether a batch is out; someone must decide
    │   ├── ProgressLost
    │   ├── ProgressAhead
    │   └── BatchUnsettled
    ├── PublishError               an event cannot be written to the outbox
    │   ├── NotAnEvent
    │   ├── NotInTransaction
    │   ├── NotCapturable
    │   ├── UnusableKey
    │   └── EventTooLarge
    ├── MessageError               a received message cannot be handled, ever
    │   ├── UndecodableMessage
    │   ├── InvalidMessage
    │   └── UnknownVersion
    ├── NotOutYet                  an event is to be erased that will still be sent or handled
    ├── RecordLocked               another process works on the same message
    ├── HandlersLeft               a consumer ended, and handlers of it have not
    └── BrokerError                Kafka did not do what it was asked
        ├── BrokerUnavailable
        ├── AuthenticationFailed
        ├── TopicMissing
        ├── TopicRefused
        ├── GroupRefused
        ├── ProducerFailed
        │   ├── ProducerRefused
        │   └── ProducerFenced
        ├── TransactionFailed
        ├── TransactionsRefused
        ├── DeliveryFailed
        │   ├── MessageTooLarge
        │   └── RelaysDied
        └── DeadLetterRefused
"""

from __future__ import annotations

from collections.abc import Iterable


class KafkaIntegrationError(Exception):
    """Raised when anything in kafka_integration goes wrong; the base of all others."""


class ConfigurationError(KafkaIntegrationError):
    """Raised when a setting is missing or has a value that cannot be used."""


class DeclarationError(KafkaIntegrationError):
    """Raised when a declaration in an ``events.py`` contradicts itself or the catalogue."""


class TopicNameError(DeclarationError):
    """Raised when a topic's name is not ``domain.action.format``."""

    def __init__(self, topic: str, reason: str) -> None:
        self.topic = topic
        self.reason = reason
        super().__init__(
            f"{topic!r} is not a topic name: {reason}. Names read domain.action.format in lower "
            "case letters, digits and underscores, as in 'campaign.created.json'."
        )


class UnknownTopic(DeclarationError):
    """Raised when a topic is used that the catalogue does not hold."""

    def __init__(self, topic: str, catalogue: str) -> None:
        self.topic = topic
        self.catalogue = catalogue
        super().__init__(
            f"Topic {topic!r} is not in the catalogue {catalogue}. Add it there, then run "
            "'manage.py kafka_topics apply'."
        )


class ContractMismatch(DeclarationError):
    """Raised when a contract asks for fields that its model does not have."""

    def __init__(self, contract: str, model: str, fields: Iterable[str]) -> None:
        self.contract = contract
        self.model = model
        self.fields = tuple(fields)
        super().__init__(
            f"Contract {contract} cannot be built from model {model}: no attribute for "
            f"{', '.join(self.fields)}. Rename the field, add the attribute to the model, or give "
            f"{contract} a classmethod from_instance(cls, change)."
        )


class DuplicateHandler(DeclarationError):
    """Raised when two handlers claim one topic, event type, version and group."""

    def __init__(self, claim: str, first: str, second: str) -> None:
        self.claim = claim
        self.first = first
        self.second = second
        super().__init__(
            f"{second} and {first} both handle {claim}. Give one of them another group, event "
            "type or version, or call both services from one handler."
        )


class GroupNameError(DeclarationError):
    """Raised when a consumer group's name would trouble Kafka's tools or a shell."""

    def __init__(self, group: str) -> None:
        self.group = group
        super().__init__(
            f"{group[:60]!r} cannot be the name of a consumer group: with KAFKA_GROUP_PREFIX a "
            "group is 1 to 249 letters, digits, '.', '_' and '-', as in 'previews'."
        )


class HookRefused(DeclarationError):
    """Raised when a handler that is declared ``transactional=True`` registers an on_commit hook.

    It shares its transaction with other messages: one hook that raised would drop all later ones.

    Args:
        handler: its name.
        using: alias of the database.
    """

    def __init__(self, handler: str, using: str) -> None:
        self.handler = handler
        self.using = using
        super().__init__(
            f"{handler} called transaction.on_commit on database {using!r}, and it is declared "
            "transactional=True: its effects are in that database only. Leave the hook out, or "
            "remove transactional=True from its @handles."
        )


class NotAContract(DeclarationError):
    """Raised when something else stands where a declaration needs a contract."""

    def __init__(self, declaration: str, given: object) -> None:
        self.declaration = declaration
        self.given = given
        name = given.__name__ if isinstance(given, type) else repr(given)[:60]
        super().__init__(
            f"{declaration} needs a contract, a subclass of EventData; {name} is none."
        )


class UncallableHandler(DeclarationError):
    """Raised when a handler cannot be called with one argument."""

    def __init__(self, handler: str) -> None:
        self.handler = handler
        super().__init__(f"Handler {handler} must take one argument, the event.")


class UnknownGroup(DeclarationError):
    """Raised when a consumer group is asked for that has no handler."""

    def __init__(self, group: str, known: Iterable[str]) -> None:
        self.group = group
        self.known = tuple(sorted(known))
        names = ", ".join(self.known) or "none: no events.py declares a handler"
        problem = f"No handler belongs to group {group!r}." if group else "--group is required."
        super().__init__(f"{problem} Known groups: {names}.")


class UnknownOrder(DeclarationError):
    """Raised when a handler asks for an order that there is not."""

    def __init__(self, handler: str, order: object, known: Iterable[str]) -> None:
        self.handler = handler
        self.order = order
        self.known = tuple(known)
        super().__init__(
            f"Handler {handler} has order={order!r}. Write one of "
            f"{', '.join(map(str, self.known))}."
        )


class CatalogueError(KafkaIntegrationError):
    """Raised when the topic catalogue cannot be read or breaks its own rules."""

    def __init__(self, path: str, problems: Iterable[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(f"{path} is not a valid topic catalogue:\n- " + "\n- ".join(self.problems))


class CatalogueUnreadable(CatalogueError):
    """Raised when the file that ``KAFKA_TOPICS_FILE`` names is not there or cannot be opened."""

    def __init__(self, path: str, reason: str) -> None:
        self.reason = reason
        problem = f"The topic catalogue {path} (KAFKA_TOPICS_FILE) cannot be read: {reason}."
        super().__init__(path, [problem])
        # There is nothing to list: that one sentence is all.
        self.args = (problem,)


class OutboxBusy(KafkaIntegrationError):
    """Raised when a relay that shall end soon waits for what another one holds and keeps."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        super().__init__(
            f"Another relay, {holder or 'just gone'}, holds shards of this outbox, and for a "
            "whole lease has neither sent what waits in them nor handed one over. 'manage.py "
            "kafka_outbox stats' says why. Stop it first, and its shards are taken over at once; "
            "or let it do the work."
        )


class OutboxNotEmpty(KafkaIntegrationError):
    """Raised when the shard count is to be changed while events wait."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(
            f"The outbox's shards cannot be changed while events wait ({waiting}): those of one "
            "key would come into two shards, and out of order. Stop or pause what writes, run "
            "'manage.py kafka_relay --drain', retry or discard what is held ('manage.py "
            "kafka_outbox stats' shows it), and try again."
        )


class OutboxInUse(KafkaIntegrationError):
    """Raised when the shard count is to be changed and open transactions do not end in time."""

    def __init__(self) -> None:
        super().__init__(
            "The outbox's shards cannot be changed now: a transaction that has queued events or "
            "records what was sent is open. 'manage.py kafka_outbox stats' names long ones. Try "
            "again in a quiet moment."
        )


class ClusterChanged(KafkaIntegrationError):
    """Raised when Kafka is another cluster than the one that the outbox was sent to so far."""

    def __init__(self, known: str, found: str) -> None:
        self.known = known
        self.found = found
        super().__init__(
            f"This outbox was sent to Kafka cluster {known}, and KAFKA_BROKER leads to cluster "
            f"{found}. If this database is a copy or a restored backup, its events may be none of "
            "that cluster's business: check KAFKA_BROKER. If Kafka was made anew, as in "
            "development, or has moved for good, say so once with 'manage.py kafka_relay "
            "--adopt-cluster'. What was sent before stays in the old cluster; 'manage.py "
            "kafka_outbox replay' sends it again."
        )


class BatchInDoubt(KafkaIntegrationError):
    """Raised when database and Kafka do not agree about the last batch of a shard."""

    def __init__(self, shard: int, batch: int, problem: str) -> None:
        self.shard = shard
        self.batch = batch
        self.problem = problem
        super().__init__(
            f"{problem} Look into the topics ('manage.py kafka_outbox audit') and decide: "
            f"'manage.py kafka_outbox settle --shard {shard} --sent' takes the events of batch "
            f"{batch} as published, '--unsent' sends them again. Then start the relay again."
        )


class ProgressLost(BatchInDoubt):
    """Raised when the progress topic no longer knows what it must have known of a shard."""

    def __init__(self, shard: int, batch: int, topic: str, found: int | None, written: int) -> None:
        self.topic = topic
        self.found = found
        self.written = written
        says = "has nothing" if found is None else f"ends with batch {found}"
        super().__init__(
            shard,
            batch,
            f"Batch {batch} of shard {shard} was being published, and whether it was cannot be "
            f"told: topic {topic} {says}, although batch {written} was written there before. The "
            "topic was deleted or emptied, KAFKA_TRANSACTIONAL_ID_PREFIX was changed, or the Kafka "
            "cluster is another one or was made anew. Nothing was sent.",
        )


class ProgressAhead(BatchInDoubt):
    """Raised when Kafka has a batch of a shard that the database does not know."""

    def __init__(self, shard: int, batch: int, topic: str, found: int) -> None:
        self.topic = topic
        self.found = found
        super().__init__(
            shard,
            batch,
            f"Topic {topic} has batch {found} of shard {shard}, and the database knows none after "
            f"{batch}. The database was put back to an earlier state, so that events which are out "
            "may wait again; or another database publishes under the same "
            "KAFKA_TRANSACTIONAL_ID_PREFIX, which must differ. Nothing was sent.",
        )


class BatchUnsettled(BatchInDoubt):
    """Raised when a relay without exactly-once finds a batch that one with it left unfinished."""

    def __init__(self, shard: int, batch: int) -> None:
        super().__init__(
            shard,
            batch,
            f"An exactly-once relay left batch {batch} of shard {shard} unfinished, and this relay "
            "would publish its events although they may be out. Run 'manage.py kafka_relay "
            "--exactly-once --drain' first: it finds out. If that is not possible:",
        )


class PublishError(KafkaIntegrationError):
    """Raised when an event cannot be written to the outbox; its transaction must roll back."""


class NotAnEvent(PublishError):
    """Raised when ``publish()`` is given anything but an instance of a contract."""

    def __init__(self, given: object) -> None:
        self.given = given
        super().__init__(
            "publish() needs an event, an instance of a subclass of EventData, and was given "
            f"{given!r:.60}. Declare a contract and pass Contract(…)."
        )


class NotInTransaction(PublishError):
    """Raised when ``publish()`` is called while no transaction is open."""

    def __init__(self, using: str) -> None:
        self.using = using
        super().__init__(
            f"publish() needs an open transaction on database {using!r}, so that the event and "
            "what it tells of are committed together. Wrap the work in "
            f"'with transaction.atomic(using={using!r}):'."
        )


class NotCapturable(PublishError):
    """Raised when a publishing model is written in a way that hides which rows change, or how.

    Nothing was written.
    """

    def __init__(self, operation: str, model: str, reason: str, cure: str) -> None:
        self.operation = operation
        self.model = model
        self.reason = reason
        self.cure = cure
        super().__init__(
            f"Changes of {model} are published, and {operation} would hide them: {reason}. {cure}"
        )


class UnusableKey(PublishError):
    """Raised when a key is no text that Kafka and the database can both keep."""

    LIMIT = 1_000
    """Bytes: keys stand in an index, whose rows PostgreSQL limits to 2,704."""

    def __init__(self, topic: str, key: object) -> None:
        self.topic = topic
        self.key = key
        super().__init__(
            f"{str(key)[:60]!r} cannot be the key of an event for {topic}: a key is a text of 1 to "
            f"{self.LIMIT:,} bytes without NUL characters. Give a key= that returns one."
        )


class EventTooLarge(PublishError):
    """Raised when an event has more bytes than Kafka would take."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        self.topic = topic
        self.size = size
        self.limit = limit
        super().__init__(
            f"An event for {topic} has {size:,} bytes and the limit is {limit:,}. Publish a "
            "reference to the data in place of the data, or raise KAFKA_MAX_MESSAGE_BYTES and the "
            "topic's max.message.bytes together."
        )


class MessageError(KafkaIntegrationError):
    """Raised when a received message can never be handled as it is; retrying is no use."""


class UndecodableMessage(MessageError):
    """Raised when a message's bytes are not in the format that its topic's name promises."""


class InvalidMessage(MessageError):
    """Raised when a message decodes but does not satisfy its handler's contract."""


class UnknownVersion(MessageError):
    """Raised when a message's contract version has no handler in a group that handles its type."""


class NotOutYet(KafkaIntegrationError):
    """Raised when events are to be erased that would still be sent, or handled, without payload."""

    def __init__(self, events: Iterable[str], cure: str) -> None:
        self.events = tuple(events)
        self.cure = cure
        named = ", ".join(self.events[:5]) + (" and others" if len(self.events) > 5 else "")
        super().__init__(f"Cannot be erased yet: {named}. {cure}")


class RecordLocked(KafkaIntegrationError):
    """Raised when another transaction holds the inbox record of the message to be handled."""

    def __init__(self, group: str, place: str, seconds: float) -> None:
        self.group = group
        self.place = place
        self.seconds = seconds
        super().__init__(
            f"Another transaction has been handling {place} for group {group!r} for over "
            f"{seconds:g} s: most likely a consumer that was paused and lost the partition. The "
            "message is tried again. End that process, or its database session, if this goes on."
        )


class HandlersLeft(KafkaIntegrationError):
    """Raised when a consumer had to end while handlers were still at work.

    Args:
        group: whose handlers.
        places: their messages, which are not committed and will come again.
        seconds: how long they were waited for.
    """

    def __init__(self, group: str, places: Iterable[str], seconds: float) -> None:
        self.group = group
        self.places = tuple(places)
        self.seconds = seconds
        super().__init__(
            f"Group {group} ended while handlers were still at {', '.join(self.places)}, after "
            f"{seconds:g} s of waiting. These messages come again, and what a handler commits "
            "after all is not done twice. Make the handler faster or give it a timeout, or raise "
            "KAFKA_CONSUME_DRAIN_SECONDS."
        )


class BrokerError(KafkaIntegrationError):
    """Raised when Kafka refuses a request or does not answer it."""


class BrokerUnavailable(BrokerError):
    """Raised when no Kafka broker answers at the configured address."""

    def __init__(self, broker: str, detail: str = "") -> None:
        self.broker = broker
        self.detail = detail
        super().__init__(
            f"No Kafka broker answers at {broker}{': ' + detail if detail else ''}. Check "
            "KAFKA_BROKER, and that Kafka runs there. To try things out without one: python -m "
            "kafka_integration.broker.embedded"
        )


class AuthenticationFailed(BrokerError):
    """Raised when Kafka does not accept our user name, password or certificate."""

    def __init__(self, broker: str, detail: str = "") -> None:
        self.broker = broker
        self.detail = detail
        super().__init__(
            f"Kafka at {broker} refused our credentials{': ' + detail if detail else ''}. Check "
            "KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SSL_*."
        )


class TopicMissing(BrokerError):
    """Raised when topics that we publish to or read from do not exist in Kafka."""

    def __init__(self, topics: Iterable[str], broker: str) -> None:
        self.topics = tuple(sorted(topics))
        self.broker = broker
        super().__init__(
            f"Kafka at {broker} has no topic {', '.join(self.topics)}. Create what the catalogue "
            "lists with 'manage.py kafka_topics apply'."
        )


class TopicRefused(BrokerError):
    """Raised when Kafka does not let our user write to or read from a topic."""

    def __init__(self, topic: str, broker: str) -> None:
        self.topic = topic
        self.broker = broker
        super().__init__(
            f"Kafka at {broker} does not allow our user to use topic {topic}. Grant it with an "
            "ACL, or check KAFKA_SASL_USERNAME."
        )


class GroupRefused(BrokerError):
    """Raised when Kafka does not let our user read as a consumer group."""

    def __init__(self, group: str, broker: str) -> None:
        self.group = group
        self.broker = broker
        super().__init__(
            f"Kafka at {broker} does not allow our user to read as group {group!r}. Grant it Read "
            "on that group with an ACL, or check KAFKA_SASL_USERNAME and KAFKA_GROUP_PREFIX."
        )


class ProducerFailed(BrokerError):
    """Raised when a producer can no longer keep its promises and must be made anew."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The Kafka producer cannot go on and must be made anew: {reason}.")


class ProducerRefused(ProducerFailed):
    """Raised when Kafka does not let our user write with an idempotent producer."""

    def __init__(self, broker: str) -> None:
        self.broker = broker
        super().__init__(
            f"Kafka at {broker} does not allow our user an idempotent producer. Grant it Write on "
            "the topics (before Kafka 2.8: IdempotentWrite on the cluster) with an ACL, or check "
            "KAFKA_SASL_USERNAME"
        )


class ProducerFenced(ProducerFailed):
    """Raised when another producer has taken over the transactional id of this one."""

    def __init__(self, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        super().__init__(
            f"another producer has taken over the transactional id {transactional_id}. If this "
            "goes on, two outboxes share KAFKA_TRANSACTIONAL_ID_PREFIX: give each its own"
        )


class TransactionFailed(BrokerError):
    """Raised when a Kafka transaction cannot be committed; aborted, its batch may be sent again."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The Kafka transaction is aborted and tried again: {reason}.")


class TransactionsRefused(BrokerError):
    """Raised when Kafka does not let our user write in transactions."""

    def __init__(self, transactional_id: str, broker: str) -> None:
        self.transactional_id = transactional_id
        self.broker = broker
        super().__init__(
            f"Kafka at {broker} does not allow our user the transactional id {transactional_id}. "
            "Grant it Write and Describe on the transactional ids that begin with "
            "KAFKA_TRANSACTIONAL_ID_PREFIX with an ACL, or check KAFKA_SASL_USERNAME."
        )


class DeliveryFailed(BrokerError):
    """Raised when Kafka rejects one message for a reason of its own."""

    def __init__(self, topic: str, reason: str) -> None:
        self.topic = topic
        self.reason = reason
        super().__init__(f"Kafka did not take a message for {topic}: {reason}.")


class MessageTooLarge(DeliveryFailed):
    """Raised when a message cannot fit into its topic, so that Kafka need not be asked."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            topic,
            f"it is too large, with {size:,} bytes where max.message.bytes is {limit:,}, and no "
            "compression could help. Raise that limit in the topic catalogue, run 'manage.py "
            "kafka_topics apply' and retry the event, or discard it",
        )


class RelaysDied(DeliveryFailed):
    """Raised when relays died, one after the other, while they handed one event to Kafka."""

    def __init__(self, topic: str, deaths: int) -> None:
        self.deaths = deaths
        super().__init__(
            topic,
            f"{deaths} relays died one after the other while they handed it over. Look for what "
            "ended them (out of memory, a fault of the client library) in the system's log, mend "
            "that and retry the event, or discard it",
        )


class DeadLetterRefused(BrokerError):
    """Raised when a dead-letter topic takes a letter not even without trace and message."""

    def __init__(self, topic: str, reason: str) -> None:
        self.topic = topic
        self.reason = reason
        super().__init__(
            f"The dead-letter topic {topic} refused the letter ({reason}), so the message is kept "
            "in its inbox record only. Give the topic a max.message.bytes that is 64 KiB larger "
            "than that of the topic it serves, with 'manage.py kafka_topics apply'; retry or "
            "discard the record in the admin."
        )
