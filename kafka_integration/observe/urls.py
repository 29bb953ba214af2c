"""Where a web process shows metrics and answers probes.

Include it where you like: ``path("kafka/", include("kafka_integration.observe.urls"))``.
"""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "kafka_observe"

urlpatterns = [
    path("metrics", views.metrics, name="metrics"),
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
]
