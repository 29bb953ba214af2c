"""The package's pages: ``path("kafka/", include("kafka_integration.web.urls"))``."""

from __future__ import annotations

from django.urls import path

from . import asyncapi

app_name = "kafka_integration"

urlpatterns = [
    path("asyncapi/", asyncapi.page, name="asyncapi"),
    path("asyncapi.json", asyncapi.as_json_file, name="asyncapi-json"),
    path("asyncapi.yaml", asyncapi.as_yaml_file, name="asyncapi-yaml"),
]
