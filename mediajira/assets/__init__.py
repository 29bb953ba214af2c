"""Assets: the pictures, films and texts of a campaign, in versions that are reviewed."""

from __future__ import annotations
