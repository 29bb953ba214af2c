"""A hold lasts until someone decides: no time ever ended one."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0005_crashes")]

    operations = [migrations.RemoveField(model_name="outboxhold", name="until")]
