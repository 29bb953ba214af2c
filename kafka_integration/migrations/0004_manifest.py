from __future__ import annotations

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0003_leaner_relay")]

    operations = [
        migrations.CreateModel(
            name="OutboxManifest",
            fields=[
                ("shard", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("batch", models.BigIntegerField()),
                ("previous", models.BigIntegerField(default=0)),
                ("positions", models.JSONField(default=list)),
                ("events", models.JSONField(default=list)),
                ("settled", models.BooleanField(default=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "outbox manifest",
                "db_table": "kafka_outbox_manifest",
            },
        ),
    ]
