"""What the HTTP gateway answered, and the permission to send through it."""

from __future__ import annotations

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0010_starts")]

    operations = [
        migrations.CreateModel(
            name="GatewayReceipt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sender", models.CharField(max_length=255)),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.CharField(max_length=64)),
                ("answer", models.TextField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "gateway receipt",
                "db_table": "kafka_gateway_receipt",
                "permissions": (("send_events", "Can send events through the gateway"),),
                "indexes": [models.Index(fields=["created_at"], name="kafka_gateway_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("sender", "key"), name="kafka_gateway_key")
                ],
            },
        ),
    ]
