"""The tables of the campaigns app."""

from __future__ import annotations

import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CampaignPreview",
            fields=[
                ("campaign_id", models.UUIDField(primary_key=True, serialize=False)),
                ("asset_count", models.PositiveIntegerField(default=0)),
                ("latest_asset", models.CharField(blank=True, default="", max_length=200)),
                ("refreshed_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name="Campaign",
            fields=[
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True, default="")),
                (
                    "budget",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0.00"),
                        max_digits=12,
                        validators=[django.core.validators.MinValueValidator(Decimal("0"))],
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("active", "Active"),
                            ("paused", "Paused"),
                            ("completed", "Completed"),
                            ("archived", "Archived"),
                        ],
                        default="draft",
                        max_length=9,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="campaigns",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="TimelineEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("campaign_id", models.UUIDField()),
                ("what", models.CharField(help_text="The event's type.", max_length=100)),
                ("text", models.TextField()),
                (
                    "event_id",
                    models.CharField(help_text="The event's id, ce_id in Kafka.", max_length=255),
                ),
                ("happened_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "timeline entries",
                "ordering": ["-happened_at", "-pk"],
                "indexes": [
                    models.Index(fields=["campaign_id", "happened_at"], name="campaigns_timeline"),
                    models.Index(fields=["event_id"], name="campaigns_timeline_event"),
                ],
            },
        ),
    ]
