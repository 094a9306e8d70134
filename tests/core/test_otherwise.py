"""What would have to change for another decision: every number that is told is true."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.explain import explain
from kafka_consumer_scaler.core.limits import bound
from kafka_consumer_scaler.core.memory import Ineffective, Memory, Peak, Recommended, Scaled
from kafka_consumer_scaler.core.otherwise import next_down, next_up, otherwise
from kafka_consumer_scaler.core.policy import Mode, Policy, SelectPolicy, StepPolicy, StepUnit
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import recommend
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Replicas
from kafka_consumer_scaler.core.spoken import UNTIL
from kafka_consumer_scaler.core.sustained import sustained
from kafka_consumer_scaler.core.verdict import Abstain, Hold
from tests.core.explaining import NOT_SEEN, POLICY, judged, said, told
from tests.core.making import ALONE, NOW, even, history, known, orders, seen, steady

# otherwise: the numbers are true


def test_the_next_numbers_are_told_with_what_they_keep_up_with() -> None:
    situation = replace(even(6, 450.0), memory=Memory(peaks=(Peak(NOW - 100, 520.0),)))
    assert told(situation).otherwise == (
        "The next number up that helps is 12, which keeps up with 1,200 records/s: wanted once the oldest record would "
        "be over 45 s old in 45 s, when more could help.",
        "The next number down is 4, which keeps up with 400 records/s: wanted once no more than that arrives for 300 s "
        "(520 at most of late).")


@pytest.mark.parametrize("here", [12, 6, 4, 3, 2])
def test_fewer_are_wanted_at_the_arrival_that_is_told_and_not_far_above(here: int) -> None:
    lower = next_down(POLICY, even(here, 1.0), here)
    assert lower is not None
    keeps = sustained(even(here, 1.0), 100.0, lower)
    assert f"keeps up with {keeps:,.0f} records/s" in said(told(even(here, keeps * 1.1)).otherwise, "next number down")
    assert recommend(POLICY, even(here, keeps)).replicas == lower
    assert recommend(POLICY, even(here, keeps * 1.05)).replicas == here


@pytest.mark.parametrize("here", [1, 2, 3, 4, 6])
def test_more_are_wanted_for_ever_beyond_what_is_kept_up_with_and_not_below(here: int) -> None:
    keeps = sustained(even(here, 1.0), 100.0, here)
    over, under = even(here, keeps * 1.1, age=44.0), even(here, keeps * 0.99, age=44.0)
    assert recommend(POLICY, over).replicas >= (next_up(over, here) or 0)
    assert recommend(POLICY, under).replicas == here


@pytest.mark.parametrize(("shares", "threads", "here", "up", "down"), [
    ((12,), 1, 6, 12, 4), ((12,), 1, 7, 12, 6), ((10,), 1, 5, 10, 4), ((12,), 1, 12, None, 6), ((12,), 2, 3, 6, 2),
    ((12,), 1, 20, None, 12), ((4, 2), 1, 2, 4, 1), ((12,), 1, 1, 2, None)])
def test_the_next_numbers_are_those_that_are_faster_or_slower(
    shares: tuple[int, ...], threads: int, here: int, up: int | None, down: int | None
) -> None:
    situation = replace(even(here, 1.0), spread=Spread(shares, threads))
    assert (next_up(situation, here), next_down(POLICY, situation, here)) == (up, down)


@pytest.mark.parametrize(("least", "down"), [(0, 0), (1, None)])
def test_zero_is_below_one_only_where_the_user_allows_it(least: int, down: int | None) -> None:
    policy = replace(POLICY, min_replicas=least)
    assert next_down(policy, even(1, 1.0), 1) == down
    sentence = told(even(1, 1.0), policy).otherwise[-1]
    assert ("0 replicas are wanted once nothing waits" in sentence) == (least == 0)
    assert ("spec.minReplicas is 1" in sentence) == (least == 1)


def test_at_zero_what_wakes_is_told() -> None:
    policy = replace(POLICY, min_replicas=0, activation_lag=50)
    assert told(even(0, 0.0), policy).otherwise == ("Consumers are started once more than 50 records wait.",)


def test_a_bound_on_the_way_up_is_told() -> None:
    assert "spec.maxReplicas 8 does not allow it" in said(
        told(even(6, 450.0), replace(POLICY, max_replicas=8)).otherwise, "next number up")
    assert said(told(even(12, 1100.0)).otherwise, "No more than 12 replicas help")
    memory = Memory(ineffective=Ineffective(6, NOW + 60, 1, 12, 300.0, 305.0))
    assert said(told(replace(even(6, 450.0), memory=memory)).otherwise, "did not help; they are tried again in 60 s")


def test_a_lower_bound_is_tried_after_a_window_of_peace() -> None:
    found = told(replace(even(6, 450.0), rates=known(450.0, 100.0, learned=False)))
    assert found.otherwise[-1].endswith("or tried after 1,500 s without a change, as the capacity may be higher.")


def test_what_else_a_step_down_waits_for_is_told() -> None:
    fresh = replace(even(6, 390.0), memory=Memory(scales=(Scaled(NOW - 200, 1, 6),)))
    assert "a step down waits 315 s after a scale-up" in told(fresh).otherwise[-1]
    old = told(even(12, 500.0, age=42.0)).otherwise[-1]
    assert old.endswith("wanted once it would keep the oldest record under 18 s for 600 s, the pause of a rebalance "
                        "included.")
    held = told(replace(even(12, 500.0), backlog=Backlog.DRAINING)).otherwise[-1]
    assert held.endswith("keeps up with 600 records/s: wanted already.")


def test_without_a_capacity_the_age_alone_is_told() -> None:
    found = told(replace(even(6, 450.0, age=20.0), rates=known(450.0, NOT_SEEN)))
    assert found.otherwise == (
        "While the capacity of a consumer is unknown, replicas are doubled once the oldest record is over 45 s old.",
        "One step down is tried after 1,500 s without a change.")


def test_after_a_change_the_next_numbers_are_those_of_the_new_one() -> None:
    """1 is scaled to 4 at once: what follows is 6 and 3, not 2."""
    found = told(even(1, 350.0, age=30.0)).otherwise
    assert "helps is 6, which keeps up with 600 records/s" in said(found, "next number up")
    assert "down is 3, which keeps up with 300 records/s" in said(found, "next number down")


def test_what_is_not_decided_is_told_with_what_would_end_it_alone() -> None:
    verdict = replace(judged(even(6, 450.0)), decision=Abstain(Reason.TARGET_NOT_FOUND, "gone"))
    assert otherwise(POLICY, verdict) == (UNTIL[Reason.TARGET_NOT_FOUND],)


def test_a_back_off_that_is_over_bounds_no_way_up() -> None:
    memory = Memory(ineffective=Ineffective(6, NOW - 1, 1, 12, 300.0, 305.0))
    assert said(told(replace(even(6, 450.0), memory=memory)).otherwise, "next number up").startswith(
        "The next number up that helps is 12")


def test_without_a_capacity_the_least_is_told_as_such() -> None:
    assert told(replace(even(1, 50.0), rates=known(50.0, NOT_SEEN))).otherwise[-1] == (
        "Fewer are not possible: spec.minReplicas is 1.")


def test_a_peak_that_fewer_would_keep_up_with_is_not_what_a_step_down_waits_for() -> None:
    """4 do 400, which is the highest of late; a scale-up of 200 s ago is."""
    memory = Memory(scales=(Scaled(NOW - 200, 1, 6),), peaks=(Peak(NOW - 100, 400.0),))
    assert "a step down waits 315 s after a scale-up" in told(replace(even(6, 390.0), memory=memory)).otherwise[-1]


def test_the_peaks_count_where_what_arrives_now_is_not_known() -> None:
    memory = Memory(peaks=(Peak(NOW - 100, 520.0),))
    found = told(replace(even(6, 450.0), rates=known(NOT_SEEN, 100.0), memory=memory))
    assert said(found.otherwise, "next number down").endswith("(520 at most of late).")


REGRETTED = Memory(scales=(Scaled(NOW - 1000, 6, 4), Scaled(NOW - 900, 4, 7)))


def test_a_regret_doubles_the_window_that_is_told() -> None:
    peak = replace(REGRETTED, peaks=(Peak(NOW - 100, 520.0),))
    assert "no more than that arrives for 600 s" in told(replace(even(6, 450.0), memory=peak)).otherwise[-1]
    assert "nothing has arrived for 600 s" in told(
        replace(even(1, 1.0), memory=REGRETTED), replace(POLICY, min_replicas=0)).otherwise[-1]
    fresh = replace(even(12, 100.0), memory=REGRETTED, unbroken_seconds=250.0)
    assert told(fresh).otherwise[0] == "The scale-down window of 600 s is watched without a break in 350 s."


def test_one_record_that_may_wait_is_told_in_the_singular() -> None:
    policy = replace(POLICY, min_replicas=0, activation_lag=1)
    assert told(even(0, 0.0), policy).otherwise == ("Consumers are started once more than 1 record waits.",)


def test_nothing_wakes_who_was_put_to_sleep_by_others() -> None:
    verdict = decide(POLICY, steady(range(0, 90, 15), 10, 10), Replicas(0, 0), Memory(), 75.0)
    assert verdict.decision == Hold(0, Reason.SCALED_TO_ZERO_BY_OTHERS)
    assert otherwise(POLICY, verdict) == (UNTIL[Reason.SCALED_TO_ZERO_BY_OTHERS],)


# the classic rule


@pytest.mark.parametrize("here", [1, 2, 3, 4, 6, 7, 12])
@pytest.mark.parametrize("per_replica", [24, 70, 1000])
@pytest.mark.parametrize("tolerance", [0.0, 0.1, 0.5])
def test_the_lag_at_which_the_number_changes_is_true_to_the_record(
    here: int, per_replica: int, tolerance: float
) -> None:
    rules = replace(POLICY.scale_up, tolerance=tolerance), replace(POLICY.scale_down, tolerance=tolerance)
    policy = replace(POLICY, max_replicas=100, lag_per_replica=per_replica, scale_up=rules[0], scale_down=rules[1])
    sentences = told(spread_evenly(here, here * per_replica), policy).otherwise
    more = numbers(said(sentences, "Over"))
    assert recommend(policy, spread_evenly(here, more[0])).replicas <= here
    assert recommend(policy, spread_evenly(here, more[0] + 1)).replicas == more[1]
    if here > 1:
        less = numbers(said(sentences, "or fewer"))
        assert recommend(policy, spread_evenly(here, less[0])).replicas == less[1]
        assert recommend(policy, spread_evenly(here, less[0] + 1)).replicas > less[1]


@pytest.mark.parametrize("here", [6, 7, 12, 20])
def test_the_lag_for_fewer_is_true_to_the_record_where_min_replicas_bounds(here: int) -> None:
    policy = replace(POLICY, max_replicas=100, min_replicas=5, lag_per_replica=1000)
    less = numbers(said(told(spread_evenly(here, here * 1000), policy).otherwise, "or fewer"))

    def allowed(lag: int) -> int:
        situation = spread_evenly(here, lag)
        return bound(recommend(policy, situation), policy, situation.spread).replicas

    assert allowed(less[0]) == less[1] < here
    assert allowed(less[0] + 1) > less[1] or here == 20


def test_what_no_lag_asks_for_is_told() -> None:
    lax = replace(POLICY, lag_per_replica=1000, scale_down=replace(POLICY.scale_down, tolerance=1.0))
    assert told(spread_evenly(6, 6000), lax).otherwise[-1] == (
        "No lag asks for fewer: spec.behavior.scaleDown.tolerance is 1.")
    to_zero = replace(POLICY, lag_per_replica=1000, min_replicas=0)
    assert told(spread_evenly(1, 1000), to_zero).otherwise[-1].startswith("0 replicas are wanted once nothing waits")
    unknown = replace(spread_evenly(6, 6000), rates=known(0.0, NOT_SEEN))
    assert told(unknown, replace(POLICY, lag_per_replica=1000)).otherwise[-1].endswith("replicas are wanted.")


def spread_evenly(replicas: int, lag: int, partitions: int = 12) -> Situation:
    """So much lag on 12 partitions, all of which lag as soon as there are 12 records, and nothing arrives."""
    share, rest = divmod(lag, partitions)
    each = {tp: share + (index < rest) for index, tp in enumerate(orders(partitions))}
    waiting = {tp: float(records) for tp, records in each.items()}
    return replace(even(replicas, 0.0, partitions=partitions), lag=each, waiting=waiting)


def numbers(sentence: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*", sentence)]


def test_the_classic_rule_tells_what_the_arrival_keeps() -> None:
    """500 records/s at 100 a consumer, of which 0.8 are planned with: 6 of 12 do 480."""
    found = told(even(12, 500.0), replace(POLICY, lag_per_replica=1000))
    assert found.otherwise[-1] == (
        "At 6,000 records or fewer 6 replicas are wanted, if no more than 480 records/s arrive.")
    assert found.why[0].endswith("lagPerReplica is 1,000.")
    assert "spec.maxReplicas 8 does not allow so many" in told(
        even(6, 500.0), replace(POLICY, lag_per_replica=1000, max_replicas=8)).otherwise[0]


def test_a_lag_that_the_tolerance_lets_pass_is_told_to_the_record() -> None:
    """1,100 / 1,000 - 1 is a little over 0.1 in floating point, so 1,100 records ask for the 11 that divide 22."""
    policy = replace(POLICY, max_replicas=100, lag_per_replica=100,
                     scale_up=replace(POLICY.scale_up, tolerance=0.1))
    assert told(spread_evenly(10, 1000, partitions=22), policy).otherwise[0] == (
        "Over 1,099 records of lag on all partitions 11 replicas are wanted.")


def test_the_most_replicas_are_allowed() -> None:
    assert told(spread_evenly(6, 6000), replace(POLICY, max_replicas=12, lag_per_replica=1000)).otherwise[0] == (
        "Over 6,600 records of lag on all partitions 12 replicas are wanted.")


def test_no_lag_at_all_asks_for_one() -> None:
    """One record for each of 2 is right, one in all is half of it, and passes: none asks for one replica."""
    rules = replace(POLICY.scale_down, tolerance=0.5)
    found = told(spread_evenly(2, 2), replace(POLICY, lag_per_replica=1, scale_down=rules)).otherwise[-1]
    assert found.startswith("At 0 records or fewer 1 replica is wanted")


# otherwise: what ends a hold


def test_the_end_of_a_cooldown_is_told() -> None:
    memory = Memory(scales=(Scaled(NOW - 10, 2, 1),))
    found = told(replace(even(1, 350.0, age=30.0), memory=memory))
    assert found.otherwise[0] == "The cooldown of 30 s ends in 20 s; what is wanted then is done."
    nearly = told(replace(even(1, 350.0, age=30.0), memory=Memory(scales=(Scaled(NOW - 29.7, 2, 1),))))
    assert nearly.otherwise[0].startswith("The cooldown of 30 s ends in 0 s")
    down = told(replace(even(12, 100.0), memory=Memory(scales=(Scaled(NOW - 10, 13, 12),))))
    assert down.otherwise[0] == "The cooldown of 120 s ends in 110 s; what is wanted then is done."


def test_the_end_of_a_window_is_told() -> None:
    fresh = told(replace(even(12, 100.0), unbroken_seconds=250.0))
    assert fresh.otherwise[0] == "The scale-down window of 300 s is watched without a break in 50 s."
    classic = replace(POLICY, lag_per_replica=1000)
    high = told(replace(even(6, 10.0), memory=Memory(highs=(Recommended(NOW - 100, 6),))), classic)
    assert high.otherwise[0].startswith("The stabilization window of 300 s ends in 200 s")
    nearly = replace(even(6, 10.0), memory=Memory(highs=(Recommended(NOW - 299.7, 6),)), unbroken_seconds=300.0)
    assert told(nearly, classic).otherwise[0].startswith("The stabilization window of 300 s ends in 0 s")
    slow_up = replace(POLICY, scale_up=replace(POLICY.scale_up, stabilization_window_seconds=60))
    low = told(replace(even(1, 350.0, age=30.0), memory=Memory(lows=(Recommended(NOW - 15, 1),))), slow_up)
    assert low.otherwise[0].startswith("The stabilization window of 60 s ends in 45 s")


def test_the_end_of_a_step_limit_is_told() -> None:
    steps = replace(POLICY.scale_up, policies=(StepPolicy(StepUnit.PODS, 2, 60),), cooldown_seconds=0)
    memory = Memory(scales=(Scaled(NOW - 20, 1, 3),))
    found = told(replace(even(3, 900.0, age=30.0), memory=memory), replace(POLICY, scale_up=steps))
    assert found.otherwise[0] == "The behavior policies allow another step in 40 s."
    before = replace(even(3, 900.0, age=30.0), memory=Memory(scales=(Scaled(NOW - 60, 0, 1), Scaled(NOW - 20, 1, 3))))
    assert told(before, replace(POLICY, scale_up=steps)).otherwise[0].endswith("another step in 40 s.")
    never = replace(POLICY, scale_up=replace(steps, select_policy=SelectPolicy.DISABLED))
    assert "Disabled" in told(even(3, 900.0, age=30.0), never).otherwise[0]


def test_the_end_of_the_limit_of_an_hour_or_a_day_is_told() -> None:
    up = replace(POLICY.scale_up, max_changes_per_hour=1)
    climbing = replace(even(1, 350.0, age=30.0), memory=Memory(ups=(NOW - 3000,)))
    assert told(climbing, replace(POLICY, scale_up=up)).otherwise[0] == (
        "Another scale-up is possible in 10 min, or with a larger spec.behavior.scaleUp.maxChangesPerHour.")
    down = replace(POLICY.scale_down, max_changes_per_day=1)
    calm = replace(even(12, 100.0), memory=Memory(downs=(NOW - 3000,)))
    assert told(calm, replace(POLICY, scale_down=down)).otherwise[0] == (
        "Another scale-down is possible in 24 h, or with a larger spec.behavior.scaleDown.maxChangesPerDay.")


def test_replicas_out_of_bounds_are_held_by_the_step_policies_alone() -> None:
    rules = replace(POLICY.scale_down, policies=(StepPolicy(StepUnit.PODS, 2, 60),), max_changes_per_hour=1)
    memory = Memory(scales=(Scaled(NOW - 20, 14, 12),), downs=(NOW - 20,))
    found = told(replace(even(12, 100.0), memory=memory), replace(POLICY, max_replicas=8, scale_down=rules))
    assert found.otherwise[0] == "The behavior policies allow another step in 40 s."


def test_a_group_that_is_behind_tells_how_far_it_must_catch_up() -> None:
    found = told(replace(even(12, 100.0), backlog=Backlog.DRAINING))
    assert found.otherwise[0] == "Fewer replicas are possible once the oldest record is no more than 18 s old."


@pytest.mark.parametrize(("policy", "setting"), [
    (replace(POLICY, paused=True), "spec.paused to false"),
    (replace(POLICY, mode=Mode.ADVISORY), "spec.mode to Active"),
])
def test_what_would_have_been_done_is_told(policy: Policy, setting: str) -> None:
    watched = history(*(seen(at, *[(10_000 + 30 * at, 10 * at)] * 2, group=ALONE) for at in range(0, 90, 15)))
    verdict = decide(policy, watched, Replicas(1, 1), Memory(), 75.0)
    found = explain(policy, verdict)
    assert isinstance(verdict.decision, Hold)
    assert verdict.decision.replicas == 2
    assert "; else scaled up from 1 to 2." in found.why[-1]
    assert found.otherwise[0] == f"Set {setting} to have it done. That would be 2 replicas instead of 1."
    assert found.otherwise[1].startswith("The next number up that helps is 2"), "of what runs, not of what would"
