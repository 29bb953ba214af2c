"""A day in the depot: one parcel is packed, and its address is corrected."""

from __future__ import annotations

import django

django.setup()

from stock.models import Parcel  # noqa: E402  # models need a set-up Django

parcel = Parcel.objects.create(address="1 Harbour Road")
parcel.address = "2 Harbour Road"
parcel.save()
print(parcel.pk)  # noqa: T201  # the test reads it
