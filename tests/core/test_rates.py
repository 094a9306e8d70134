"""Lag, age, arrival, drain, capacity."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.rates import (
    Capacity,
    age_seconds,
    commit_interval_seconds,
    lags,
    measure,
)
from kafka_consumer_scaler.core.snapshot import Group, Member, Unknown
from tests.core.making import P0, P1, STABLE, history, seen, steady

POLICY = Policy(max_replicas=10)


def test_lag_is_never_negative_even_when_the_commit_is_ahead() -> None:
    assert lags(history(seen(0, (100, 120), (100, 60))), POLICY) == {P0: 0, P1: 40}


def test_lag_of_a_partial_sample_is_unknown() -> None:
    found = lags(history(seen(0, (100, 60), None)), POLICY)
    assert isinstance(found, Unknown)
    assert "1 of 2 partitions unknown, first orders/1: the leader did not answer" in found.why


def test_lag_of_an_uncommitted_partition_is_unknown_when_offset_reset_is_none() -> None:
    policy = Policy(max_replicas=10, offset_reset=OffsetReset.NONE)
    assert isinstance(lags(history(seen(0, (100, None))), policy), Unknown)


def test_age_is_interpolated_in_the_history_of_end_offsets() -> None:
    found = history(seen(0, (100, 100)), seen(10, (200, 100)), seen(20, (300, 150)))
    assert age_seconds(found, POLICY) == pytest.approx(15.0), "record 150 came at t = 5"


def test_age_beyond_the_history_is_lag_over_arrival_and_no_less_than_the_history() -> None:
    found = history(seen(0, (1000, 0)), seen(10, (1100, 0)))
    assert age_seconds(found, POLICY) == pytest.approx(110.0)
    assert age_seconds(history(seen(0, (10, 5)), seen(30, (10, 5))), POLICY) == 30.0


def test_age_without_lag_is_zero_and_with_one_sample_unknown() -> None:
    assert age_seconds(history(seen(0, (10, 10))), POLICY) == 0.0
    assert isinstance(age_seconds(history(seen(0, (10, 5))), POLICY), Unknown)


def test_arrival_and_drain_add_up_over_partitions() -> None:
    rates = measure(steady(range(0, 70, 5), arrival=50, drain=40), POLICY, None)
    assert rates.arrival == pytest.approx(100)
    assert rates.drain == pytest.approx(80)


def test_drain_is_unknown_before_a_whole_window_was_undisturbed() -> None:
    drain = measure(steady(range(0, 50, 5), arrival=50, drain=40), POLICY, None).drain
    assert isinstance(drain, Unknown)
    assert "45 s of 60 s" in drain.why


def test_a_commit_every_minute_polled_every_five_seconds_is_not_a_rate_of_zero() -> None:
    sawtooth = history(*(seen(at, (at * 10, at // 60 * 600)) for at in range(0, 300, 5)))
    assert measure(sawtooth, POLICY, None).drain == pytest.approx(10.0)
    assert commit_interval_seconds(sawtooth) == 60


def test_capacity_is_learned_when_every_consumer_was_busy() -> None:
    busy = steady(range(0, 70, 5), arrival=50, drain=40, lag=2000)
    assert measure(busy, POLICY, Capacity(90.0, learned=True)).capacity == Capacity(40.0, learned=True)


def test_an_idle_groups_low_rate_never_lowers_the_capacity() -> None:
    idle = steady(range(0, 70, 5), arrival=5, drain=5)
    assert measure(idle, POLICY, Capacity(90.0, learned=True)).capacity == Capacity(90.0, learned=True)


def test_a_beaten_lower_bound_is_raised_by_what_the_commits_prove() -> None:
    idle = steady(range(0, 70, 5), arrival=52, drain=52)
    proven = Capacity(52 * 60 / 65, learned=False)
    assert measure(idle, POLICY, Capacity(20.0, learned=False)).capacity == proven


def test_a_short_stretch_with_the_same_consumers_proves_a_lower_bound() -> None:
    alone = Group("Stable", "range", (Member("m0", frozenset({P0, P1})),))
    snapshots = [seen(at, *[(90_000, 100 * at)] * 2, group=alone if at < 40 else STABLE) for at in range(0, 65, 5)]
    capacity = measure(history(*snapshots), POLICY, None).capacity
    assert capacity == Capacity(2 * 100 * 20 / 25 / 2, learned=False)


def test_one_drained_partition_is_enough_to_learn_nothing() -> None:
    skewed = history(*(seen(at, (10_000 + 50 * at, 1000 + 40 * at), (20 * at, 20 * at)) for at in range(0, 70, 5)))
    capacity = measure(skewed, POLICY, None).capacity
    assert isinstance(capacity, Capacity)
    assert not capacity.learned
