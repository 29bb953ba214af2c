"""Outbox and inbox: from our own processes.

What comes from the database is the same in each of them, so that the maximum is taken.
"""

from __future__ import annotations

from .dashboard import Dashboard, Panel

RATE = "[$__rate_interval]"


def _quantile(share: float, metric: str, by: str) -> str:
    inner = f"sum by ({', '.join(filter(None, ('le', by)))}) (rate({metric}_bucket{RATE}))"
    return f"histogram_quantile({share}, {inner})"


OUTBOX = Dashboard(
    title="Outbox and Inbox",
    uid="kafka-outbox",
    help="What waits on its way to Kafka, and what the handlers do with what comes from it.",
    panels=(
        Panel(
            "Waiting",
            "short",
            (("sum(max by (topic) (kafka_outbox_queued_events))", "events"),),
            "Events that are not out, counted up to 100,000.",
            "stat",
            4,
        ),
        Panel(
            "Oldest",
            "s",
            (("max(kafka_outbox_oldest_seconds)", "age"),),
            "Age of the oldest event that could be sent now.",
            "stat",
            4,
            alarm=300,
        ),
        Panel(
            "Held keys",
            "short",
            (("sum(max by (topic) (kafka_outbox_held_keys))", "keys"),),
            "Each waits for someone: retry or discard.",
            "stat",
            4,
            alarm=1,
        ),
        Panel(
            "Dead messages",
            "short",
            (
                (
                    'sum(max by (group, topic) (kafka_inbox_open_records{status="dead"}))',
                    "messages",
                ),
            ),
            "Given up by their group; they are in the admin.",
            "stat",
            4,
            alarm=1,
        ),
        Panel(
            "Parked messages",
            "short",
            (
                (
                    'sum(max by (group, topic) (kafka_inbox_open_records{status="parked"}))',
                    "messages",
                ),
            ),
            "They wait for another try.",
            "stat",
            4,
        ),
        Panel(
            "Processes that are not ready",
            "short",
            (("count(kafka_process_ready) - sum(kafka_process_ready)", "processes"),),
            "Their /readyz says why.",
            "stat",
            4,
            alarm=1,
        ),
        Panel(
            "Backlog by topic",
            "short",
            (("max by (topic) (kafka_outbox_queued_events)", "{{topic}}"),),
            "Events that wait, held ones included.",
        ),
        Panel(
            "Oldest by topic",
            "s",
            (("max by (topic) (kafka_outbox_oldest_seconds)", "{{topic}}"),),
            "A straight rising line: nothing goes out.",
        ),
        Panel(
            "Published",
            "cps",
            (
                (
                    f"sum by (instance) (rate(kafka_outbox_published_events_total{RATE}))",
                    "{{instance}}",
                ),
            ),
            "Events acknowledged by Kafka, by relay.",
        ),
        Panel(
            "Publish latency",
            "s",
            (
                (_quantile(0.5, "kafka_outbox_batch_seconds", ""), "median"),
                (_quantile(0.99, "kafka_outbox_batch_seconds", ""), "99th percentile"),
            ),
            "A batch, from being read to being recorded as out.",
        ),
        Panel(
            "Leases",
            "short",
            (
                ("max by (relay) (kafka_outbox_leased_shards)", "{{relay}}"),
                ("max(kafka_outbox_shards)", "shards in all"),
            ),
            "Shards that each relay holds.",
        ),
        Panel(
            "Held keys and events behind them",
            "short",
            (
                ("max by (topic) (kafka_outbox_held_keys)", "keys {{topic}}"),
                ("max by (topic) (kafka_outbox_held_events)", "events {{topic}}"),
            ),
            "Kafka refused an event of each key.",
        ),
        Panel(
            "Messages by outcome",
            "cps",
            (
                (
                    f"sum by (group, outcome) (rate(kafka_inbox_messages_total{RATE}))",
                    "{{group}} {{outcome}}",
                ),
            ),
            "What became of the messages of each group.",
        ),
        Panel(
            "Handler duration, 99th percentile",
            "s",
            ((_quantile(0.99, "kafka_inbox_handler_seconds", "handler"), "{{handler}}"),),
            "How long handlers take, their failures included.",
        ),
        Panel(
            "Delay, 99th percentile",
            "s",
            ((_quantile(0.99, "kafka_inbox_delay_seconds", "group"), "{{group}}"),),
            "From the message's timestamp in Kafka to its being dealt with.",
        ),
        Panel(
            "Retries and dead letters",
            "cps",
            (
                (
                    f"sum by (group, topic) (rate(kafka_inbox_retries_total{RATE}))",
                    "retry {{group}} {{topic}}",
                ),
                (
                    f"sum by (group, topic) (rate(kafka_inbox_dead_letters_total{RATE}))",
                    "dead {{group}} {{topic}}",
                ),
            ),
            "Tries that failed, and messages given up.",
        ),
        Panel(
            "Parked and dead by group",
            "short",
            (
                (
                    "max by (group, topic, status) (kafka_inbox_open_records)",
                    "{{group}} {{topic}} {{status}}",
                ),
            ),
            "What is in the inbox and needs another try or someone.",
        ),
        Panel(
            "Longest handler at work",
            "s",
            (("max by (group) (kafka_inbox_busy_seconds)", "{{group}}"),),
            "A straight rising line: a handler hangs.",
        ),
    ),
)
