"""A parked message holds its key; the later ones wait behind it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0007_capture_function")]

    operations = [
        migrations.AddField(
            model_name="inboxrecord",
            name="key_hash",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="inboxrecord",
            name="tried_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
