from __future__ import annotations

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="OutboxRelay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("owner", models.CharField(max_length=200, unique=True)),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "relay",
                "db_table": "kafka_outbox_relay",
            },
        ),
        migrations.AddField(
            model_name="outboxsetup",
            name="cluster_id",
            field=models.CharField(blank=True, default="", max_length=255),
        ),
    ]
