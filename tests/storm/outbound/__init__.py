"""Writers, relays and faults by a seed, and a checker that shares no code with them.

``make storm SEED=1 EVENTS=100000 FAULTS=30 MODE=at-least-once``
"""

from __future__ import annotations
