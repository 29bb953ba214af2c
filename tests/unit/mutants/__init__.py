"""The mutation check: its patches, and how it judges."""

from __future__ import annotations
