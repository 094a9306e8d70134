"""Which rule asks, and what goes before it: zero, retention, a withdrawal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.memory import Ineffective, Memory, Peak, TakenBack
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.recommendation import recommend
from kafka_consumer_scaler.core.situation import Situation
from tests.core.making import NOW, even, orders

POLICY = Policy(max_replicas=12)
ZERO = Policy(max_replicas=12, min_replicas=0)
QUIET = replace(even(3, 0.0), quiet_seconds=15.0)


def wanted(situation: Situation, policy: Policy = ZERO) -> int:
    return recommend(policy, situation).replicas


def test_a_quiet_group_may_go_to_zero() -> None:
    assert recommend(ZERO, QUIET).because == "no lag and nothing arrives"
    assert wanted(QUIET) == 0
    assert wanted(QUIET, POLICY) == 1


@pytest.mark.parametrize("not_quiet", [
    replace(QUIET, quiet_seconds=0.0),
    replace(QUIET, waiting={**QUIET.waiting, orders(12)[4]: 0.5}),
    replace(QUIET, memory=Memory(peaks=(Peak(NOW - 300, 0.01),))),
])
def test_quiet_is_no_lag_no_move_and_no_arrival_for_the_whole_window(not_quiet: Situation) -> None:
    assert wanted(not_quiet) > 0


def test_an_arrival_before_the_window_is_forgotten() -> None:
    assert wanted(replace(QUIET, memory=Memory(peaks=(Peak(NOW - 301, 50.0),)))) == 0


def test_the_classic_rule_leaves_the_window_to_its_recommendations() -> None:
    recent = replace(QUIET, memory=Memory(peaks=(Peak(NOW - 10, 50.0),)))
    assert wanted(recent, replace(ZERO, lag_per_replica=100)) == 0


@pytest.mark.parametrize(("lag", "replicas"), [(8, 0), (9, 1)])
def test_a_group_at_zero_stays_there_until_the_lag_exceeds_the_activation(lag: int, replicas: int) -> None:
    policy = replace(ZERO, activation_lag=108 - 12)
    asleep = replace(even(0, 5.0, age=20.0), lag=dict.fromkeys(orders(12), lag),
                     waiting=dict.fromkeys(orders(12), float(lag)))
    assert wanted(asleep, policy) == replicas
    assert wanted(replace(asleep, lag=dict.fromkeys(orders(12), 0)), replace(POLICY, min_replicas=1)) == 1


def test_a_retention_risk_wants_all_useful_replicas() -> None:
    at_risk = replace(even(2, 100.0), retention=(orders(12)[7], 95.4))
    found = recommend(POLICY, at_risk)
    assert (found.replicas, found.because) == (12, "orders/7 loses unprocessed records in 95 s")
    assert wanted(replace(at_risk, replicas=replace(at_risk.replicas, spec=14)), POLICY) == 14


def withdrawn(current: int, until: float = NOW + 60, arrival: float = 800.0, age: float = 50.0) -> Situation:
    memory = Memory(ineffective=Ineffective(3, until, 1, 6, 300.0, 305.0))
    return replace(even(current, arrival, age), memory=memory)


def test_a_scale_up_that_did_not_help_is_withdrawn() -> None:
    found = recommend(POLICY, withdrawn(6))
    assert found.replicas == 3
    assert found.because.endswith("; 12 wanted, more than 3 did not help")


@pytest.mark.parametrize(("current", "replicas"), [(2, 12), (3, 3), (4, 4), (6, 3), (12, 12)])
def test_while_the_back_off_lasts_it_is_not_climbed_again(current: int, replicas: int) -> None:
    assert wanted(withdrawn(current), POLICY) == replicas


def test_after_the_back_off_it_is_climbed_again() -> None:
    assert wanted(withdrawn(3, until=NOW), POLICY) == 12


def test_what_wants_no_more_than_helped_is_not_touched() -> None:
    assert wanted(withdrawn(6, arrival=0.0, age=0.0), POLICY) == 1


def test_lag_per_replica_chooses_the_classic_rule() -> None:
    behind = replace(even(1, 0.0), lag=dict.fromkeys(orders(12), 100))
    assert wanted(behind, Policy(max_replicas=12, lag_per_replica=200)) == 6
    assert wanted(behind, POLICY) == 1


def test_a_retention_risk_that_more_consumers_cannot_help_asks_for_none() -> None:
    at_risk = replace(even(2, 100.0), retention=(orders(12)[7], 95.4))
    for change in ({"stuck": frozenset({orders(12)[7]})}, {"hot": frozenset({orders(12)[7]})}):
        assert "loses" not in recommend(POLICY, replace(at_risk, **change)).because  # type: ignore[arg-type]
    assert wanted(replace(at_risk, stuck=frozenset({orders(12)[3]})), POLICY) == 12


def test_a_second_of_quiet_is_enough_where_polls_are_that_fast() -> None:
    assert wanted(replace(QUIET, quiet_seconds=1.0)) == 0


@pytest.mark.parametrize(("few", "found"), [(1, 2), (2, 3), (3, 4), (5, 6), (6, 6)])
def test_no_step_goes_down_to_what_was_too_few_for_such_a_load(few: int, found: int) -> None:
    """200 records/s want 2 replicas of 6."""
    memory = Memory(taken_back=TakenBack(few, 200.0, NOW - 100, 1, NOW + 3500))
    assert wanted(replace(even(6, 200.0), memory=memory), POLICY) == found
