"""The index that parked messages are found by, made without holding up those who write."""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class AddIndexBesideWriters(migrations.AddIndex):
    """``AddIndex`` that lets others write meanwhile where the database can (PostgreSQL)."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.add_index(model, self.index, concurrently=True)  # type: ignore[call-arg]  # PostgreSQL's takes it


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("kafka_integration", "0008_parked_keys")]

    operations = [
        AddIndexBesideWriters(
            model_name="inboxrecord",
            index=models.Index(
                fields=["group", "topic", "partition", "key_hash", "offset"],
                name="kafka_inbox_waiting",
                condition=models.Q(status="parked", key_hash__isnull=False),
            ),
        ),
    ]
