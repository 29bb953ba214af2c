"""Where MediaJira's pages are."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

admin.site.site_header = "MediaJira"
admin.site.site_title = "MediaJira"
admin.site.index_title = "Campaigns, assets, retrospectives and their events"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("kafka/", include("kafka_integration.gateway.urls")),
    path("kafka/", include("kafka_integration.observe.urls")),
    path("kafka/", include("kafka_integration.web.urls")),
]
