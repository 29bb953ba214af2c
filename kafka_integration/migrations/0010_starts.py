"""Who has a partition, and how often a message was begun that no process came to an end with."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0009_parked_keys_index")]

    operations = [
        migrations.AddField(
            model_name="inboxrecord",
            name="starts",
            field=models.SmallIntegerField(blank=True, default=0, null=True),
        ),
        migrations.CreateModel(
            name="InboxOwner",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("group", models.CharField(max_length=255)),
                ("topic", models.CharField(max_length=249)),
                ("partition", models.IntegerField()),
                ("owner", models.CharField(blank=True, default="", max_length=36)),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={"verbose_name": "inbox owner", "db_table": "kafka_inbox_owner"},
        ),
        migrations.AddConstraint(
            model_name="inboxowner",
            constraint=models.UniqueConstraint(
                fields=("group", "topic", "partition"), name="kafka_inbox_owner_place"
            ),
        ),
    ]
