"""The laws of the token bucket, on a clock that is set by hand."""

from __future__ import annotations

import math
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.pacing import TokenBucket
from tests.pacing.clocks import Clock

rates = st.floats(0.1, 1e6)
bursts = st.floats(1, 1e6)
pauses = st.floats(0, 100)
sizes = st.floats(0, 1)


def taken(bucket: TokenBucket, tokens: float = 1.0, times: int = 1000) -> int:
    """How many takes succeed in a row."""
    return next((count for count in range(times) if bucket.try_take(tokens)), times)


def test_the_worked_numbers_are_so() -> None:
    clock = Clock(0.0)
    bucket = TokenBucket(10, 5, clock)
    for at, count in ((0.0, 5), (0.1, 1), (1.0, 5), (1.2, 2)):
        clock.now = at
        assert taken(bucket) == count, at
        assert bucket.try_take() == pytest.approx(0.1)
    clock.now = 10.0
    assert bucket.try_take(8) == 0.0
    assert bucket.try_take() == pytest.approx(0.4)
    clock.now = 10.4
    assert taken(bucket) == 1


@given(rates, bursts, st.lists(st.tuples(pauses, sizes), min_size=1, max_size=50))
def test_no_stretch_of_time_gives_more_than_the_burst_and_the_rate(
    rate: float, burst: float, takes: list[tuple[float, float]]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    log: list[tuple[float, float]] = []
    for pause, size in takes:
        clock.now += pause
        if bucket.try_take(size * burst) == 0.0:
            log.append((clock.now, size * burst))
    for first in range(len(log)):
        for last in range(first, len(log)):
            total = sum(size for _, size in log[first:last + 1])
            assert total <= (burst + rate * (log[last][0] - log[first][0])) * (1 + 2e-9)


@given(rates, bursts, st.floats(0, 5))
def test_what_is_told_to_come_back_finds_its_tokens(rate: float, burst: float, size: float) -> None:
    clock = Clock(0.0)
    bucket = TokenBucket(rate, burst, clock)
    bucket.try_take(burst)
    wait = bucket.try_take(size * burst)
    clock.now += wait * (1 + 1e-9) + 1e-9
    assert bucket.try_take(size * burst) == 0.0


@given(rates, bursts, st.lists(st.floats(0.01, 10), min_size=1, max_size=50))
def test_who_takes_all_there_is_gets_the_rate_however_often_it_asks(
    rate: float, burst: float, pauses: list[float]
) -> None:
    """Nothing drifts: over any waits that fill no bucket, what is taken is what has come."""
    clock = Clock(0.0)
    bucket = TokenBucket(rate, burst, clock)
    bucket.try_take(burst)
    total = 0.0
    for pause in (min(pause, 0.9 * burst / rate) for pause in pauses):
        clock.now += pause
        bucket.try_take(burst * 2)  # refused, and costs nothing
        total += rate * pause if bucket.try_take(rate * pause) == 0.0 else 0.0
    assert total == pytest.approx(rate * clock.now, rel=1e-6)


def test_many_small_takes_drift_by_nothing_that_can_be_seen() -> None:
    clock = Clock(0.0)
    bucket = TokenBucket(1000, 1, clock)
    bucket.try_take(1)
    count = 0
    for tick in range(1, 300_001):
        clock.now = tick / 3000
        count += bucket.try_take(1) == 0.0
    assert 99_990 <= count <= 100_000


def test_a_take_larger_than_the_burst_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    clock = Clock(0.0)
    bucket = TokenBucket(10, 5, clock)
    assert bucket.try_take(1) == 0.0
    assert bucket.try_take(20) == pytest.approx(0.1)
    clock.now = 0.1
    assert bucket.try_take(20) == 0.0
    assert bucket.try_take(1) == pytest.approx(1.6)


def test_nothing_comes_at_rate_0_and_anything_at_an_infinite_one() -> None:
    clock = Clock()
    bucket = TokenBucket(0, 2, clock)
    assert (taken(bucket), bucket.try_take()) == (2, math.inf)
    bucket.set_rate(math.inf, math.inf)
    assert bucket.try_take(1e12) == 0.0
    bucket.set_rate(10, 3)
    assert taken(bucket) == 3


def test_another_rate_gives_no_tokens_by_itself() -> None:
    clock = Clock(0.0)
    bucket = TokenBucket(10, 10, clock)
    assert taken(bucket) == 10
    for number in range(1, 21):
        bucket.set_rate(10 + number, 10 + number)
    assert bucket.try_take() > 0.03
    clock.now = 1.0
    bucket.set_rate(5, 5)
    assert taken(bucket) == 5


def test_a_clock_that_goes_back_gives_nothing_twice() -> None:
    clock = Clock(10.0)
    bucket = TokenBucket(1, 5, clock)
    assert taken(bucket, times=4) == 4
    clock.now = 5.0
    assert bucket.try_take() == 0.0
    clock.now = 10.0
    assert bucket.try_take() == pytest.approx(1.0)


def test_what_is_given_back_fills_no_more_than_the_burst() -> None:
    bucket = TokenBucket(0, 3, Clock())
    assert bucket.try_take(2) == 0.0
    bucket.give_back(50)
    assert taken(bucket) == 3


@pytest.mark.parametrize(("rate", "burst"), [(-1, 1), (math.nan, 1), (1, 0), (1, math.nan), (1, -2)])
def test_what_is_no_rate_and_no_burst_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        TokenBucket(rate, burst)
    with pytest.raises(ValueError, match="must be"):
        TokenBucket(1, 1).set_rate(rate, burst)
    with pytest.raises(ValueError, match="tokens"):
        TokenBucket(1, 1).try_take(math.nan)


def test_threads_together_get_no_more_than_one_alone() -> None:
    bucket, began = TokenBucket(2000, 50), time.monotonic()

    def take() -> None:
        count = 0
        while count < 200:
            count += bucket.try_take() == 0.0

    threads = [threading.Thread(target=take) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert 50 + 2000 * (time.monotonic() - began) >= 4 * 200
