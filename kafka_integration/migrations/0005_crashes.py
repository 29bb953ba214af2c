"""A lease remembers how many of its owners died one after the other."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0004_manifest")]

    operations = [
        migrations.AddField(
            model_name="outboxlease",
            name="crashes",
            field=models.SmallIntegerField(blank=True, default=0, null=True),
        ),
    ]
