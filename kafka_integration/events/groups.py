"""Names of consumer groups."""

from __future__ import annotations

import re

from ..conf import settings
from ..errors import GroupNameError

# Kafka itself takes any text. These are the characters of topic names, which its tools, its
# metrics and a shell pass on unharmed.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")


def check_group(group: str) -> None:
    """Check that ``group``, with ``KAFKA_GROUP_PREFIX`` before it, can be a group's id.

    Raises:
        GroupNameError: it cannot.
    """
    if not (group and _NAME.fullmatch(settings.group_prefix + group)):
        raise GroupNameError(group)
