"""From wanted to allowed: bounds, useful partitions, HPA step policies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.limits import Limit, Limited, Spent, bound, ceiling, spent, step
from kafka_consumer_scaler.core.memory import Scaled
from kafka_consumer_scaler.core.policy import (
    ChangeLimit,
    Policy,
    ScalingRules,
    SelectPolicy,
    StepPolicy,
    StepUnit,
)
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import Recommendation

POLICY = Policy(max_replicas=8)
TWELVE = Spread((12,))


def wanted(replicas: int) -> Recommendation:
    return Recommendation(replicas, "")


def test_the_trail_tells_every_limit_in_order() -> None:
    limited = bound(wanted(15), POLICY, TWELVE)
    assert [(limit.replicas, limit.reason) for limit in limited.trail] == [
        (12, Reason.AT_PARTITION_LIMIT), (8, Reason.AT_MAX_REPLICAS), (6, Reason.AT_MAX_REPLICAS)]
    assert limited.replicas == 6


def test_what_is_within_the_bounds_has_no_trail() -> None:
    assert bound(wanted(6), POLICY, TWELVE).trail == ()
    assert bound(wanted(12), Policy(max_replicas=12), TWELVE).trail == (), "as many as are useful"
    assert bound(wanted(6), Policy(max_replicas=6), TWELVE).trail == (), "as many as are allowed"
    assert [limit.replicas for limit in bound(wanted(15), Policy(max_replicas=6), TWELVE).trail] == [12, 6]


def test_min_replicas_win_over_the_useful_partitions() -> None:
    assert bound(wanted(1), Policy(max_replicas=8, min_replicas=5), Spread((2,))).replicas == 5
    assert ceiling(Policy(max_replicas=8, min_replicas=5), Spread((2,))) == 5


def test_replicas_that_max_replicas_would_leave_idle_are_not_asked_for() -> None:
    assert bound(wanted(10), Policy(max_replicas=9), Spread((10,))).replicas == 5


def rules(*policies: StepPolicy, select: SelectPolicy = SelectPolicy.MAX) -> ScalingRules:
    return ScalingRules(0, 0, policies=policies, select_policy=select)


PODS_2 = StepPolicy(StepUnit.PODS, 2, 60)
PERCENT_100 = StepPolicy(StepUnit.PERCENT, 100, 60)


@pytest.mark.parametrize(("select", "reached"), [
    (SelectPolicy.MAX, 8), (SelectPolicy.MIN, 6), (SelectPolicy.DISABLED, 4),
])
def test_up_steps_from_4_by_2_pods_or_100_per_cent(select: SelectPolicy, reached: int) -> None:
    policy = replace(POLICY, scale_up=rules(PODS_2, PERCENT_100, select=select))
    assert step(10, 4, policy, (), now=1000.0).replicas == reached


@pytest.mark.parametrize(("select", "reached"), [(SelectPolicy.MAX, 4), (SelectPolicy.MIN, 6)])
def test_down_steps_from_8_by_2_pods_or_50_per_cent(select: SelectPolicy, reached: int) -> None:
    policy = replace(POLICY, scale_down=rules(PODS_2, StepPolicy(StepUnit.PERCENT, 50, 60), select=select))
    assert step(1, 8, policy, (), now=1000.0).replicas == reached


def test_what_was_added_within_the_period_counts() -> None:
    policy = replace(POLICY, scale_up=rules(PODS_2))
    just_now = (Scaled(at=990.0, before=2, after=4),)
    assert step(8, 4, policy, just_now, now=1000.0).replicas == 4
    assert step(8, 4, policy, just_now, now=1051.0).replicas == 6


def test_no_policies_are_one_jump() -> None:
    assert step(8, 1, POLICY, (), now=0.0).replicas == 8


def test_each_limit_tells_why() -> None:
    assert [limit.why for limit in bound(wanted(15), POLICY, TWELVE).trail] == [
        "12 useful for the partitions", "maxReplicas 8", "as fast as 8"]
    assert bound(wanted(0), POLICY, TWELVE).trail == (Limit(1, Reason.AT_MIN_REPLICAS, "minReplicas 1"),)


@pytest.mark.parametrize(("replicas", "allowed"), [(0, 2), (1, 2), (2, 2), (3, 3), (12, 12), (13, 12)])
def test_the_bounds_themselves_are_allowed(replicas: int, allowed: int) -> None:
    assert bound(wanted(replicas), Policy(max_replicas=12, min_replicas=2), TWELVE).replicas == allowed


def test_idle_replicas_that_the_user_wants_at_least_are_kept() -> None:
    assert bound(wanted(10), Policy(max_replicas=9, min_replicas=7), Spread((10,))).replicas == 7
    assert bound(wanted(10), Policy(max_replicas=9, min_replicas=7), Spread((10,))).trail[-1].why == "as fast as 9"


@pytest.mark.parametrize(("most", "useful", "least", "found"), [(8, 12, 1, 8), (12, 8, 1, 8), (12, 8, 10, 10)])
def test_the_ceiling(most: int, useful: int, least: int, found: int) -> None:
    assert ceiling(Policy(max_replicas=most, min_replicas=least), Spread((useful,))) == found


def test_a_step_down_counts_what_went_within_the_period() -> None:
    policy = replace(POLICY, scale_down=rules(PODS_2))
    just_now = (Scaled(at=940.1, before=8, after=6),)
    assert step(1, 6, policy, just_now, now=1000.0).replicas == 6
    assert step(1, 6, policy, just_now, now=1000.1).replicas == 4, "the period has passed"
    assert step(5, 6, policy, (), now=1000.0) == Limited(5), "within the step"
    assert step(1, 6, policy, (), now=1000.0) == Limited(4, (Limit(4, Reason.STEP_LIMIT, "behavior policies"),))


def test_per_cent_steps_are_rounded_in_favour_of_moving() -> None:
    policy = replace(POLICY, scale_up=rules(StepPolicy(StepUnit.PERCENT, 10, 60)),
                     scale_down=rules(StepPolicy(StepUnit.PERCENT, 10, 60)))
    assert step(8, 3, policy, (), now=0.0).replicas == 4
    assert step(1, 3, policy, (), now=0.0).replicas == 2
    thrice = replace(POLICY, scale_up=rules(StepPolicy(StepUnit.PERCENT, 200, 60)))
    assert step(500, 50, thrice, (), now=0.0).replicas == 150
    assert step(500, 100, thrice, (), now=0.0).replicas == 300


TWO_AN_HOUR = ScalingRules(0, 0, max_changes_per_hour=2)
TWO_AN_HOUR_THREE_A_DAY = replace(TWO_AN_HOUR, max_changes_per_day=3)
HOUR, DAY = ChangeLimit(2, 3600), ChangeLimit(3, 86_400)


def test_without_a_limit_any_number_of_changes_is_allowed() -> None:
    assert spent(ScalingRules(0, 0), tuple(float(at) for at in range(100)), now=100.0) is None


@pytest.mark.parametrize(("times", "found"), [
    ((), None),
    ((7000.0,), None),
    ((7000.0, 9400.0), Spent(HOUR, 600.0)),
    ((6400.0, 9400.0), None),
    ((6400.25, 9400.0), Spent(HOUR, 0.25)),
    ((7000.0, 8000.0, 9000.0), Spent(HOUR, 1600.0)),
])
def test_a_change_counts_for_the_hour_that_follows_it(times: tuple[float, ...], found: Spent | None) -> None:
    assert spent(TWO_AN_HOUR, times, now=10_000.0) == found


@pytest.mark.parametrize(("times", "found"), [
    ((20_000.0, 99_000.0), None),
    ((20_000.0, 30_000.0, 99_000.0), Spent(DAY, 6_400.0)),
    ((97_000.0, 99_000.0), Spent(HOUR, 600.0)),
    ((14_000.0, 97_000.0, 99_000.0), Spent(HOUR, 600.0)),
    ((20_000.0, 97_000.0, 99_000.0), Spent(DAY, 6_400.0)),
])
def test_of_two_spent_limits_the_one_that_holds_longer_is_found(
    times: tuple[float, ...], found: Spent | None
) -> None:
    assert spent(TWO_AN_HOUR_THREE_A_DAY, times, now=100_000.0) == found


@pytest.mark.parametrize(("seconds", "words"), [
    (0.2, "1 s"), (119.5, "120 s"), (120.0, "2 min"), (601.0, "11 min"), (7199.0, "120 min"), (7200.0, "2 h"),
    (7201.0, "3 h"), (86_400.0, "24 h"),
])
def test_the_time_until_the_next_change_is_rounded_up(seconds: float, words: str) -> None:
    assert Spent(HOUR, seconds).wait == words
