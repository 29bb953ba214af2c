"""Consumers of one group and faults by a seed, and a checker that shares no code with them.

``make storm-inbound SEED=1 EVENTS=100000 FAULTS=30``
"""

from __future__ import annotations
