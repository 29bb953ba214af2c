"""What a probe is told of a loop, by the moments at which it went round."""

from __future__ import annotations

from kafka_integration.observe.heartbeat import Heartbeat


def test_a_loop_that_went_round_lately_lives_and_one_that_stands_still_does_not() -> None:
    beat = Heartbeat(60, now=0)
    beat.turn(100)
    assert beat.live(160).good
    verdict = beat.live(161)
    assert not verdict.good
    assert "61 s" in verdict.reason
    assert "KAFKA_HEALTH_SECONDS" in verdict.reason
    assert not beat.ready(161).good


def test_a_loop_that_never_went_round_has_as_long_to_start() -> None:
    beat = Heartbeat(60, now=1_000)
    assert beat.live(1_060).good
    assert not beat.live(1_061).good


def test_it_is_ready_once_it_has_what_it_needs() -> None:
    beat = Heartbeat(60, now=0)
    assert not beat.ready(1).good
    beat.begin(2)
    assert beat.ready(3).good


def test_it_is_not_ready_while_it_waits_and_alive_nonetheless() -> None:
    beat = Heartbeat(60, now=0)
    beat.begin(1)
    beat.wait("Kafka does not answer", 2)
    assert beat.live(3).good
    assert not beat.ready(3).good
    assert "Kafka does not answer" in beat.ready(3).reason


def test_waiting_keeps_it_alive() -> None:
    beat = Heartbeat(60, now=0)
    beat.wait("Kafka does not answer", 100)
    assert beat.live(150).good


def test_it_is_ready_again_once_work_was_done() -> None:
    beat = Heartbeat(60, now=0)
    beat.wait("Kafka does not answer", 2)
    beat.progress(3)
    assert beat.ready(4).good


def test_it_is_ready_again_when_nobody_has_told_of_waiting_for_a_while() -> None:
    beat = Heartbeat(60, now=0)
    beat.begin(1)
    beat.wait("the database does not answer", 2)
    beat.turn(16)
    assert not beat.ready(17).good
    assert beat.ready(18).good


def test_what_holds_its_work_up_is_told_until_it_is_gone() -> None:
    beat = Heartbeat(60, now=0)
    beat.begin(1)
    beat.stick("a handler hangs")
    assert beat.ready(2).reason == "a handler hangs"
    assert beat.live(2).good
    beat.stick("")
    assert beat.ready(2).good
