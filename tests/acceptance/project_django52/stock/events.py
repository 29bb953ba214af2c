"""What the depot publishes and handles."""

from __future__ import annotations

from kafka_integration import Event, EventData, created, handles, publishes

from .models import Parcel, Shipment


class ParcelPacked(EventData):
    """A parcel is ready to leave."""

    parcel_id: int
    address: str


publishes(Parcel, ParcelPacked, topic="parcel.packed.json", when=created)


@handles("parcel.packed.json", ParcelPacked, group="shipping")
def ship(event: Event[ParcelPacked]) -> None:
    """Write one shipment."""
    Shipment.objects.create(parcel_id=event.data.parcel_id, address=event.data.address)
