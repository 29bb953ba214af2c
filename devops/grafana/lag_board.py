"""Kafka Consumer Lag: from kafka-exporter, which sees every group, also those that are not ours.

A lag of -1 says that a group never committed in that partition; it is left out of all sums.
"""

from __future__ import annotations

from .dashboard import Dashboard, Panel

_CHOSEN = '{consumergroup=~"$consumergroup",topic=~"$topic"}'
_LAG = f"kafka_consumergroup_lag{_CHOSEN} >= 0"
_OFFSET = f"kafka_consumergroup_current_offset{_CHOSEN}"

LAG = Dashboard(
    title="Kafka Consumer Lag",
    uid="kafka-consumer-lag",
    help="Lag by group and topic, offsets, trends and alerts.",
    variables=(("consumergroup", "kafka_consumergroup_lag"), ("topic", "kafka_consumergroup_lag")),
    panels=(
        Panel(
            "Lag in all",
            "short",
            ((f"sum({_LAG})", "messages"),),
            "Messages that the chosen groups have not read.",
            "stat",
            6,
            alarm=1000,
        ),
        Panel(
            "Partitions never committed to",
            "short",
            ((f"count(kafka_consumergroup_lag{_CHOSEN} < 0)", "partitions"),),
            "Their lag is unknown: no message came yet, or the group never got through one.",
            "stat",
            6,
        ),
        Panel(
            "Members",
            "short",
            (
                (
                    "sum by (consumergroup) "
                    '(kafka_consumergroup_members{consumergroup=~"$consumergroup"})',
                    "{{consumergroup}}",
                ),
            ),
            "Consumers in each group. Red: none.",
            "stat",
            12,
        ),
        Panel(
            "Lag by group and topic",
            "short",
            ((f"sum by (consumergroup, topic) ({_LAG})", "{{consumergroup}} {{topic}}"),),
            "Messages written and not read.",
        ),
        Panel(
            "Lag by partition",
            "short",
            (
                (
                    f"sum by (consumergroup, topic, partition) ({_LAG})",
                    "{{consumergroup}} {{topic}}[{{partition}}]",
                ),
            ),
            "One partition alone lags: a hot or a stuck key.",
        ),
        Panel(
            "Trend: growth of lag",
            "short",
            (
                (
                    "sum by (consumergroup, topic) "
                    f"(deriv(kafka_consumergroup_lag{_CHOSEN}[10m])) * 60",
                    "{{consumergroup}} {{topic}}",
                ),
            ),
            "Messages a minute over ten minutes. Above zero: the group falls back.",
        ),
        Panel(
            "Reading speed",
            "cps",
            (
                (
                    f"sum by (consumergroup, topic) (rate({_OFFSET}[5m]))",
                    "{{consumergroup}} {{topic}}",
                ),
            ),
            "Committed messages a second.",
        ),
        Panel(
            "Committed offsets",
            "short",
            (
                (
                    f"sum by (consumergroup, topic, partition) ({_OFFSET} >= 0)",
                    "{{consumergroup}} {{topic}}[{{partition}}]",
                ),
            ),
            "Where each group stands.",
        ),
        Panel(
            "Ends of the topics",
            "short",
            (
                (
                    "sum by (topic, partition) "
                    '(kafka_topic_partition_current_offset{topic=~"$topic"})',
                    "{{topic}}[{{partition}}]",
                ),
            ),
            "Where the next message will be written.",
        ),
        Panel(
            "Messages kept",
            "short",
            (
                (
                    'sum by (topic) (kafka_topic_partition_current_offset{topic=~"$topic"} '
                    '- kafka_topic_partition_oldest_offset{topic=~"$topic"})',
                    "{{topic}}",
                ),
            ),
            "Offsets between a topic's beginning and end. A lag near it is about to lose messages.",
        ),
        Panel(
            "Alerts",
            "short",
            (('ALERTS{alertname=~"Kafka(Consumer|Exporter).*"}', ""),),
            "Alerts on lag that are pending or firing.",
            "table",
        ),
    ),
)
