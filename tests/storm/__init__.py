"""The storms: faults by a seed while events flow, and checkers that share no code with the package.

What both have in common is here; ``outbound`` is about relays, ``inbound`` about consumers.
"""

from __future__ import annotations
