"""The relay reads by the primary key, and a delivery's topic is its event's."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0002_relays")]

    operations = [
        migrations.RemoveIndex(model_name="outboxqueue", name="kafka_outbox_queue_sendable"),
        migrations.RemoveField(model_name="outboxdelivery", name="topic"),
    ]
