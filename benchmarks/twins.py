"""Models that write the same tables as others and publish nothing."""

from __future__ import annotations

from typing import Any

from django.db import models


def twin(model: type[models.Model]) -> type[models.Model]:
    """Return a class with the fields and the table of ``model``, of which capture knows nothing.

    Taking the declarations away would leave ``save()`` wrapped and signals connected: this class
    has neither, as a model that never published.
    """
    options = {"app_label": model._meta.app_label, "db_table": model._meta.db_table}
    body: dict[str, Any] = {field.name: _copied(field) for field in model._meta.local_fields}
    body["Meta"] = type("Meta", (), options | {"managed": False})
    body["__module__"] = __name__
    return type(f"Plain{model.__name__}", (models.Model,), body)


def _copied(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    _, _, arguments, options = field.deconstruct()
    if field.is_relation:
        options["related_name"] = "+"
    return type(field)(*arguments, **options)
