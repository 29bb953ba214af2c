"""Batches grow while they are quick."""

from __future__ import annotations

from kafka_integration.inbox.batch_size import BatchSize


def test_it_grows_to_its_bound_while_full_batches_are_quick() -> None:
    size = BatchSize(100)
    assert size.value == 16
    size.took(3, 0.001, 0.001)
    assert size.value == 16
    for _ in range(5):
        size.took(size.value, 0.1, 0.1)
    assert size.value == 100


def test_it_shrinks_when_a_batch_took_long_or_failed() -> None:
    size = BatchSize(100)
    size.took(16, 0.4, 0.4)
    assert size.value == 16
    size.took(16, 0.6, 0.6)
    assert size.value == 8
    size.took(2, 10.0, 1.0)
    assert size.value == 1
    size.took(1, 10.0, 1.0)
    assert size.value == 1
    grown = BatchSize(100)
    grown.failed()
    assert grown.value == 8


def test_batches_that_wait_run_side_by_side_and_those_that_compute_do_not() -> None:
    size = BatchSize(100)
    assert size.at_once == 1
    size.took(16, 0.4, 0.3)
    assert size.at_once == 1
    size.took(16, 0.4, 0.1)
    assert size.at_once == 2
    size.took(16, 0.0, 0.0)
    assert size.at_once == 1
