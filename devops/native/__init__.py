"""Real services without Docker: Apache Kafka, PostgreSQL and Redis.

Standard library only, since it runs before anything is installed. Start with
``python3 -m devops.native --help``; tests import ``devops.native.services``.
"""

from __future__ import annotations
