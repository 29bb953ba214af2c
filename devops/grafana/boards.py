"""The three dashboards."""

from __future__ import annotations

from .broker_board import BROKER
from .dashboard import Dashboard
from .lag_board import LAG
from .outbox_board import OUTBOX

ALL: dict[str, Dashboard] = {
    "kafka-dashboard.json": BROKER,
    "kafka-consumer-lag-dashboard.json": LAG,
    "outbox-dashboard.json": OUTBOX,
}
"""By the name of the file."""
