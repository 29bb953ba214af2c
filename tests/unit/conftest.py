"""What unit tests share."""

from __future__ import annotations

import hypothesis

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("calm", deadline=None)
hypothesis.settings.load_profile("calm")
