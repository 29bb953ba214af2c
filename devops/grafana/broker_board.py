"""Kafka Broker Overview: from the JMX agent, by the rules of ``devops/kafka/kafka.yml``."""

from __future__ import annotations

from .dashboard import Dashboard, Panel

RATE = "[$__rate_interval]"


def _per_second(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{RATE}))"


BROKER = Dashboard(
    title="Kafka Broker Overview",
    uid="kafka-broker-overview",
    help="Health, throughput, latency, disk, requests, errors, partitions and replication.",
    panels=(
        Panel(
            "Brokers that answer",
            "short",
            (('sum(up{job="kafka"})', "brokers"),),
            "How many brokers answered Prometheus.",
            "stat",
            4,
        ),
        Panel(
            "Active controllers",
            "short",
            (("sum(kafka_controller_activecontrollercount)", "controllers"),),
            "There must be exactly one in a cluster.",
            "stat",
            4,
            alarm=2,
        ),
        Panel(
            "Offline partitions",
            "short",
            (("sum(kafka_controller_offlinepartitionscount)", "partitions"),),
            "Partitions without a leader: nothing can be written or read.",
            "stat",
            4,
            alarm=1,
        ),
        Panel(
            "Under-replicated partitions",
            "short",
            (("sum(kafka_server_replicamanager_underreplicatedpartitions)", "partitions"),),
            "Partitions that lack a copy.",
            "stat",
            4,
            alarm=1,
        ),
        Panel(
            "Below min.insync.replicas",
            "short",
            (("sum(kafka_server_replicamanager_underminisrpartitioncount)", "partitions"),),
            "Partitions that refuse writes with acks=all.",
            "stat",
            4,
            alarm=1,
        ),
        Panel(
            "Partitions",
            "short",
            (("sum(kafka_server_replicamanager_partitioncount)", "partitions"),),
            "Replicas on all brokers.",
            "stat",
            4,
        ),
        Panel(
            "Messages in",
            "cps",
            ((_per_second("kafka_server_topic_messagesin_total", "topic"), "{{topic}}"),),
            "Records written, by topic.",
        ),
        Panel(
            "Bytes in and out",
            "Bps",
            (
                (_per_second("kafka_server_broker_bytesin_total", "instance"), "in {{instance}}"),
                (_per_second("kafka_server_broker_bytesout_total", "instance"), "out {{instance}}"),
            ),
            "Written by clients and read by them, by broker.",
        ),
        Panel(
            "Requests",
            "reqps",
            ((_per_second("kafka_network_requests_total", "request"), "{{request}}"),),
            "Requests by kind.",
        ),
        Panel(
            "Request latency, 99th percentile",
            "ms",
            (
                (
                    "max by (request) (kafka_network_request_milliseconds"
                    '{percentile="99",request=~"Produce|FetchConsumer|FetchFollower|Metadata"})',
                    "{{request}}",
                ),
            ),
            "From arrival to answer. A fetch waits for new records for up to fetch.wait.max.ms.",
        ),
        Panel(
            "Errors",
            "cps",
            (
                (
                    "sum by (request, error) "
                    f'(rate(kafka_network_answers_total{{error!="NONE"}}{RATE}))',
                    "{{request}}: {{error}}",
                ),
            ),
            "Answers with an error code. Some are usual at start, as MEMBER_ID_REQUIRED.",
        ),
        Panel(
            "Refused requests",
            "cps",
            (
                (
                    _per_second("kafka_server_broker_failedproducerequests_total", "instance"),
                    "produce {{instance}}",
                ),
                (
                    _per_second("kafka_server_broker_failedfetchrequests_total", "instance"),
                    "fetch {{instance}}",
                ),
            ),
            "Requests that the broker could not fulfil.",
        ),
        Panel(
            "Disk by topic",
            "bytes",
            (("sum by (topic) (kafka_log_size_bytes)", "{{topic}}"),),
            "The logs' size, all partitions and copies together.",
        ),
        Panel(
            "Idle share of network and request threads",
            "percentunit",
            (
                ("min by (instance) (kafka_network_idle_ratio)", "network {{instance}}"),
                (
                    "min by (instance) (kafka_server_request_handler_idle_ratio)",
                    "requests {{instance}}",
                ),
            ),
            "Below 30 % the broker is overloaded.",
        ),
        Panel(
            "Changes of in-sync replicas",
            "cps",
            (
                (
                    _per_second("kafka_server_replicamanager_isrshrinks_total", "instance"),
                    "shrinks {{instance}}",
                ),
                (
                    _per_second("kafka_server_replicamanager_isrexpands_total", "instance"),
                    "expands {{instance}}",
                ),
            ),
            "A copy fell behind, or caught up.",
        ),
        Panel(
            "Leaders by broker",
            "short",
            (("sum by (instance) (kafka_server_replicamanager_leadercount)", "{{instance}}"),),
            "Uneven: run kafka-leader-election.",
        ),
        Panel(
            "Heap in use",
            "bytes",
            (
                (
                    'sum by (instance) (jvm_memory_used_bytes{job="kafka",area="heap"})',
                    "{{instance}}",
                ),
            ),
            "The broker's Java heap.",
        ),
        Panel(
            "Garbage collection",
            "percentunit",
            (
                (
                    "sum by (instance, gc) "
                    f'(rate(jvm_gc_collection_seconds_sum{{job="kafka"}}{RATE}))',
                    "{{instance}} {{gc}}",
                ),
            ),
            "Share of time that the broker stands still for it.",
        ),
    ),
)
