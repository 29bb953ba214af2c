"""Which Kafka the outbox is sent to: another one than before is refused unless someone says so.

A copy of production's database in staging, or a restored backup, must not be sent to whatever
Kafka it finds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..broker.mock_cluster import is_mock
from ..errors import ClusterChanged
from ..models import OutboxSetup

log = logging.getLogger(__name__)


class ClusterGuard:
    """Compares the cluster that answers with the one that the outbox remembers.

    Args:
        using: alias of the outbox's database.
        adopt: let the cluster that answers take the place of the one that is remembered.
    """

    def __init__(self, using: str, *, adopt: bool = False) -> None:
        self._using = using
        self.adopts = adopt
        self._passed = False

    def check(self, ask: Callable[[], str]) -> None:
        """Remember the cluster, or make sure that it is the one we know; once for all.

        A cluster that tells no id passes. A mock cluster, which has another id each time and
        forgets everything, is never remembered.

        Args:
            ask: returns the cluster's id.

        Raises:
            ClusterChanged: it is another one.
            BrokerUnavailable: Kafka does not answer.
            AuthenticationFailed: Kafka does not accept our credentials.
        """
        if not self._passed:
            self._compare(ask())
            self._passed = True

    def _compare(self, found: str) -> None:
        setup = OutboxSetup.objects.using(self._using)
        known = setup.cluster_id()
        lasting = "" if is_mock(found) else found
        if not found or known == lasting:
            return
        if known and not self.adopts:
            raise ClusterChanged(known, found)
        if not setup.row().remember_cluster(lasting, instead_of=known):
            # Another relay was faster; what it noted counts for us too.
            return self._compare(found)
        if known:
            log.warning("The outbox was sent to Kafka cluster %s, and is now to %s.", known, found)
