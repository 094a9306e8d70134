"""What a paced producer does with its caller. No broker is there: records wait in the real producer's queue."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kafka_consumer_scaler.pacing import PacedProducer, RateSource, SlowDown, TokenBucket, Unit, WhenFull
from tests.pacing.clocks import Clock
from tests.pacing.endpoint import Endpoint, endpoint
from tests.waiting import PATIENCE_SECONDS

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0, "message.timeout.ms": 60_000}


@pytest.fixture
def operator() -> Iterator[Endpoint]:
    with endpoint() as one:
        yield one


def paced(operator: Endpoint, records: float | None, when_full: WhenFull, **more: Any) -> PacedProducer:
    """A producer whose source was asked once for this rate. With a `clock` its tokens come by that one."""
    settings, clock = {**NOWHERE, **more.pop("settings", {})}, more.pop("clock", None)
    operator.says_rate(records, bytesPerSecond=more.pop("bytes_per_second", None))
    source = RateSource(operator.url, timeout_seconds=PATIENCE_SECONDS)
    source.refresh()
    producer = PacedProducer(settings, source, when_full=when_full, **more)
    if clock is not None:
        producer._bucket = TokenBucket(math.inf, 1.0, clock)
    return producer


def taken(producer: PacedProducer, times: int = 1000) -> int:
    return next((count for count in range(times) if not producer.produce("orders", b"x" * 100)), times)


def test_a_burst_of_a_second_is_taken_then_the_caller_is_told(operator: Endpoint) -> None:
    clock = Clock()
    producer = paced(operator, 20.0, WhenFull.RETURN, clock=clock)
    assert taken(producer) == 20
    clock.now += 0.21
    assert taken(producer) == 4
    assert len(producer) >= 24


def test_the_exception_says_when_to_come_back_and_why(operator: Endpoint) -> None:
    clock = Clock()
    producer = paced(operator, 1.0, WhenFull.RAISE, clock=clock)
    assert producer.produce("orders", b"x")
    with pytest.raises(SlowDown, match=r"the published rate is 1 records/s: 5 consumers of 100/s") as told:
        producer.produce("orders", b"x")
    assert told.value.retry_after == 1
    clock.now += told.value.retry_after
    assert producer.produce("orders", b"x")


def test_a_caller_that_waits_is_held_to_the_rate(operator: Endpoint) -> None:
    producer = paced(operator, 100.0, WhenFull.BLOCK, burst_seconds=0.05)
    began = time.monotonic()
    assert all(producer.produce("orders", b"x") for _ in range(55))
    seconds = time.monotonic() - began
    assert 0.49 <= seconds < 20
    assert len(producer) == 55


def test_a_caller_waits_no_longer_than_its_timeout(operator: Endpoint) -> None:
    producer = paced(operator, 0.0, WhenFull.BLOCK, timeout_seconds=0.3)
    assert producer.produce("orders", b"x"), "the burst is a record at least"
    began = time.monotonic()
    with pytest.raises(SlowDown) as told:
        producer.produce("orders", b"x")
    assert 0.3 <= time.monotonic() - began < 30, "a minute, if it did not say so"
    assert told.value.retry_after == 60


def test_a_caller_that_waits_is_freed_by_a_higher_rate(operator: Endpoint) -> None:
    operator.says_rate(0.0, pollAfterSeconds=1)
    with RateSource(operator.url, timeout_seconds=PATIENCE_SECONDS) as source:
        producer = PacedProducer(NOWHERE, source, timeout_seconds=PATIENCE_SECONDS)
        producer.produce("orders", b"x")
        operator.says_rate(1000.0, pollAfterSeconds=1)
        assert producer.produce("orders", b"x")


def test_by_bytes_a_record_counts_with_key_value_and_headers(operator: Endpoint) -> None:
    producer = paced(operator, None, WhenFull.RETURN, bytes_per_second=10.0, unit=Unit.BYTES, burst_seconds=100,
                     clock=Clock())
    assert producer.produce("orders", b"x" * 400, "é" * 50, headers={"trace": b"y" * 95})
    assert producer.produce("orders", b"x" * 350, headers=[("trace", "y" * 45)])
    assert not producer.produce("orders", b"x" * 100)
    assert producer.produce("orders", None)


def test_a_full_queue_is_back_pressure_too_and_uses_no_token(operator: Endpoint) -> None:
    full = {"queue.buffering.max.messages": 3}
    producer = paced(operator, 10.0, WhenFull.RAISE, settings=full, burst_seconds=0.4)
    for _ in range(3):
        producer.produce("orders", b"x")
    for _ in range(3):
        with pytest.raises(SlowDown, match="queue is full"):
            producer.produce("orders", b"x")
    assert producer.retry_after() == 0


def test_a_full_queue_is_waited_for(operator: Endpoint) -> None:
    """Records that time out make room."""
    small = {"queue.buffering.max.messages": 2, "message.timeout.ms": 700, "socket.timeout.ms": 300}
    producer = paced(operator, None, WhenFull.BLOCK, settings=small, timeout_seconds=PATIENCE_SECONDS)
    assert [producer.produce("orders", b"x") for _ in range(3)] == [True] * 3


def test_what_the_producer_refuses_uses_no_token_and_reaches_the_caller(operator: Endpoint) -> None:
    producer = paced(operator, 1.0, WhenFull.RETURN)
    with pytest.raises(TypeError):
        producer.produce("orders", b"x", no_such_argument=1)
    assert producer.produce("orders", b"x")


def test_without_a_rate_nothing_is_held_back(operator: Endpoint) -> None:
    operator.code = 503
    source = RateSource(operator.url, timeout_seconds=PATIENCE_SECONDS)
    source.refresh()
    assert taken(PacedProducer(NOWHERE, source, when_full=WhenFull.RETURN)) == 1000


def test_delivery_reports_come_while_a_caller_waits(operator: Endpoint) -> None:
    """The first record times out, and only its report raises the rate, for which the second one waits."""
    operator.says_rate(0.0, pollAfterSeconds=1)
    reports: list[Any] = []

    def report(error: Any, _: object) -> None:
        reports.append(error)
        operator.says_rate(1000.0, pollAfterSeconds=1)

    with RateSource(operator.url, timeout_seconds=PATIENCE_SECONDS) as source:
        producer = PacedProducer({**NOWHERE, "message.timeout.ms": 300}, source, timeout_seconds=PATIENCE_SECONDS)
        producer.produce("orders", b"x", on_delivery=report)
        assert producer.produce("orders", b"x")
    assert len(reports) == 1
    assert (producer.flush(PATIENCE_SECONDS), len(producer)) == (0, 0)
    assert producer.poll(0) >= 0, "an error of the connection counts too, and may come at any time"
