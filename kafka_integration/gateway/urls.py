"""Include these: ``path("kafka/", include("kafka_integration.gateway.urls"))``."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "kafka_gateway"

urlpatterns = [
    path("events", views.events, name="events"),
    path("session", views.session, name="session"),
    path("openapi.json", views.document, name="openapi"),
]
