"""Errors of statements whose answers nobody waited for."""

from __future__ import annotations

import pytest
from django.db import DataError, connection, transaction

from kafka_integration.outbox.overlap import overlapping

# On SQLite there is nothing to overlap, and nothing divides by zero.
_LATE = "SELECT 1 / length(pg_sleep(0.2)::text)"


@pytest.mark.django_db(transaction=True)
def test_an_error_that_comes_late_is_djangos_and_ends_the_transaction() -> None:
    if connection.vendor != "postgresql":
        with transaction.atomic(), overlapping("default") as does_overlap:
            assert not does_overlap
        return
    with pytest.raises(DataError), transaction.atomic():
        with overlapping("default"), connection.cursor() as cursor:
            cursor.execute(_LATE)
        pytest.fail("the block ended as if nothing had happened")
