"""Parcels with integer keys."""

from __future__ import annotations

from django.db import models


class Parcel(models.Model):
    """What leaves the depot."""

    id = models.BigAutoField(primary_key=True)
    address = models.CharField(max_length=100)


class Shipment(models.Model):
    """What became of a parcel: one row for each call of the handler."""

    parcel_id = models.BigIntegerField()
    address = models.CharField(max_length=100)
