"""The classic rule by hand: a lag for each replica."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.classic import by_lag
from kafka_consumer_scaler.core.policy import Policy, ScalingRules
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown
from tests.core.making import even, known, orders

POLICY = Policy(max_replicas=12, lag_per_replica=5)


def lagging(total: int, on: int = 10, current: int = 1, partitions: int = 10) -> Situation:
    """`total` records behind on the first `on` partitions, and nothing arrives."""
    tps = orders(partitions)
    lag = {tp: (total // on + (n < total % on) if n < on else 0) for n, tp in enumerate(tps)}
    return replace(even(current, 0.0, partitions=partitions), lag=lag)


def wanted(situation: Situation, policy: Policy = POLICY) -> int:
    return by_lag(policy, situation, policy.lag_per_replica or 0)[0]


def test_29_records_at_5_a_replica_on_10_partitions_are_6_thus_10() -> None:
    assert by_lag(POLICY, lagging(29), 5) == (10, "5 records a replica, 6 spread to 10 for an even share")


@pytest.mark.parametrize(("total", "replicas"), [
    (0, 1), (10, 2), (11, 3), (16, 4), (25, 5), (26, 10), (50, 10), (51, 11), (500, 100),
])
def test_the_backlog_wants_its_share_rounded_up_and_even(total: int, replicas: int) -> None:
    assert wanted(lagging(total)) == replicas


def test_no_more_than_the_partitions_that_lag_have_work() -> None:
    assert by_lag(POLICY, lagging(29, on=3), 5) == (3, "5 records a replica, 3 partitions lag")
    assert wanted(lagging(29, on=9)) == 5, "9 lag, 6..9 are no faster than 5"
    assert wanted(lagging(14, on=3)) == 3
    assert wanted(lagging(14, on=1)) == 1
    assert wanted(replace(lagging(29, on=3), spread=Spread((10,), 2)), replace(POLICY, consumer_threads=2)) == 2


def test_stuck_partitions_are_left_out() -> None:
    stuck = replace(lagging(29), stuck=frozenset(orders(10)[5:]))
    assert by_lag(POLICY, stuck, 5) == (3, "5 records a replica, 5 stuck partitions left out")


@pytest.mark.parametrize(("total", "replicas"), [(45, 10), (44, 9), (54, 10), (56, 12)])
def test_within_the_tolerance_the_present_number_stays(total: int, replicas: int) -> None:
    """54 records at 5 on 10 replicas are 1.08 of what is wanted, 44 are 0.88; of 100 partitions 11 would be as 10."""
    assert wanted(lagging(total, on=99, current=10, partitions=100)) == replicas


@pytest.mark.parametrize(("total", "replicas"), [(30, 6), (31, 10), (45, 10), (54, 10), (56, 12)])
def test_less_than_the_present_number_is_no_wish_for_more(total: int, replicas: int) -> None:
    """Of 12 partitions 7 to 11 would be 12 for an even share; 10 that are there stay, as within the tolerance."""
    assert wanted(lagging(total, on=12, current=10, partitions=12)) == replicas


@pytest.mark.parametrize("total", [100, 110, 120])
def test_partitions_that_lag_bound_the_number_before_it_is_tolerated(total: int) -> None:
    """10, 11 and 12 would be within the tolerance of 10; two partitions have work for two."""
    assert wanted(lagging(total, on=2, current=10), replace(POLICY, lag_per_replica=10)) == 2


def test_without_a_tolerance_every_record_counts() -> None:
    tight = replace(POLICY, scale_up=ScalingRules(0, 0, tolerance=0.0), scale_down=ScalingRules(0, 0, tolerance=0.0))
    assert wanted(lagging(50, on=99, current=10, partitions=100), tight) == 10
    assert wanted(lagging(45, on=99, current=10, partitions=100), tight) == 9
    assert wanted(lagging(51, on=99, current=10, partitions=100), tight) == 12


def test_each_direction_has_its_own_tolerance() -> None:
    lenient_up = replace(POLICY, scale_up=ScalingRules(0, 0, tolerance=1.0))
    assert wanted(lagging(100, current=10), lenient_up) == 10
    assert wanted(lagging(101, current=10), lenient_up) == 21
    lenient_down = replace(POLICY, scale_down=ScalingRules(0, 0, tolerance=0.5))
    assert wanted(lagging(5, current=2), lenient_down) == 2
    assert wanted(lagging(4, current=2), lenient_down) == 1


def arriving(rate: float, current: int = 12, capacity: float | Unknown = 100.0, learned: bool = True) -> Situation:
    return replace(even(current, rate), rates=known(rate, capacity, learned=learned))


def test_500_records_a_second_at_100_a_consumer_keep_12_of_12() -> None:
    assert by_lag(POLICY, arriving(500.0), 5) == (12, "500 records/s arrive and a consumer does 100")
    assert wanted(arriving(480.0)) == 6, "80 for the busiest"
    assert wanted(arriving(480.0), replace(POLICY, utilization=0.99)) == 12


def test_the_arrival_never_asks_for_more_than_there_are() -> None:
    assert wanted(arriving(5000.0, current=3)) == 3


def test_the_larger_of_backlog_and_arrival_counts() -> None:
    both = replace(arriving(480.0), lag=dict.fromkeys(orders(12), 4))
    assert wanted(both) == 12, "48 records want 10, thus 12"
    assert wanted(replace(both, lag=dict.fromkeys(orders(12), 1))) == 6


def test_what_is_unknown_keeps_what_is_there() -> None:
    why = Unknown("only one sample")
    assert by_lag(POLICY, replace(arriving(0.0, current=7), rates=known(why, 100.0)), 5) == (
        7, "arrival unknown: only one sample")
    assert wanted(arriving(10.0, current=5, capacity=why)) == 3, "one step down is tried: 5 of 12 are as fast as 4"
    assert wanted(arriving(0.0, current=5, capacity=why)) == 1, "nothing arrives"


def test_a_lower_bound_is_probed_in_peace() -> None:
    bound = arriving(480.0, current=6, learned=False)
    assert wanted(bound) == 6
    assert by_lag(POLICY, replace(bound, peace_seconds=1500.0), 5) == (
        4, "480 records/s arrive and a consumer does 100 or more, one step down is tried")
    assert wanted(replace(arriving(480.0, current=6), peace_seconds=300.0)) == 6


def test_from_zero_no_tolerance_holds_back() -> None:
    assert wanted(lagging(29, current=0)) == 10


def test_one_replica_has_a_tolerance_too() -> None:
    assert wanted(lagging(54, current=1), replace(POLICY, lag_per_replica=50)) == 1
    assert wanted(lagging(56, current=1), replace(POLICY, lag_per_replica=50)) == 2


def test_one_is_enough_for_little() -> None:
    assert wanted(arriving(50.0)) == 1
