"""Windows with a dumb twin that keeps everything, the vetoes one by one, and their order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.memory import Awaited, Ineffective, Memory, Recommended
from kafka_consumer_scaler.core.policy import Policy, ScalingRules, StepPolicy, StepUnit
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, Replicas, Unknown
from kafka_consumer_scaler.core.stabilization import Stabilized, spent_limit, stabilize
from tests.core.making import NOW, even, members

rows = st.lists(st.tuples(st.floats(0.1, 60), st.integers(0, 20)), min_size=1, max_size=40)


@given(rows, st.integers(0, 300), st.integers(0, 300))
def test_the_windows_know_what_a_twin_that_keeps_everything_knows(
    row: list[tuple[float, int]], up: int, down: int
) -> None:
    policy = Policy(max_replicas=20, scale_up=ScalingRules(up, 0), scale_down=ScalingRules(down, 0))
    memory, everything, at = Memory(), list[tuple[float, int]](), 0.0
    for step, replicas in row:
        at += step
        everything.append((at, replicas))
        memory = memory.with_recommended(replicas, policy, at)
        assert max(each.replicas for each in memory.highs) == max(n for t, n in everything if t >= at - down)
        assert min(each.replicas for each in memory.lows) == min(n for t, n in everything if t >= at - up)


@given(rows)
def test_the_windows_keep_one_entry_for_each_level(row: list[tuple[float, int]]) -> None:
    memory, at = Memory(), 0.0
    for step, replicas in row:
        at += step
        memory = memory.with_recommended(replicas, Policy(max_replicas=20), at)
    levels = [high.replicas for high in memory.highs]
    assert levels == sorted(set(levels), reverse=True)


POLICY = Policy(max_replicas=12)
CALM = even(6, 300.0)


def after(allowed: int, situation: Situation = CALM, policy: Policy = POLICY) -> Stabilized:
    memory = situation.memory.with_recommended(allowed, policy, situation.now)
    return stabilize(allowed, policy, memory, replace(situation, memory=memory))


def found(allowed: int, situation: Situation = CALM, policy: Policy = POLICY) -> tuple[int, Reason]:
    stable = after(allowed, situation, policy)
    return stable.replicas, stable.reason


def remembering(memory: Memory, replicas: int = 6) -> Situation:
    return replace(even(replicas, 300.0), memory=memory)


def test_as_many_as_wanted_stay_and_others_are_moved_to() -> None:
    assert found(6) == (6, Reason.WITHIN_OBJECTIVE)
    assert found(9) == (9, Reason.SCALED_UP)
    assert found(4) == (4, Reason.SCALED_DOWN)


def test_what_is_out_of_bounds_goes_to_the_nearer_bound_without_waiting() -> None:
    fresh = Memory().with_scaled(1, 6, NOW - 1)
    assert found(3, remembering(fresh), replace(POLICY, max_replicas=5)) == (5, Reason.SCALED_DOWN)
    assert found(9, remembering(fresh), replace(POLICY, min_replicas=7)) == (7, Reason.SCALED_UP)
    assert found(9, remembering(fresh)) == (6, Reason.COOLING_DOWN)


@pytest.mark.parametrize(("ago", "result"), [(29.9, (6, Reason.COOLING_DOWN)), (30.0, (9, Reason.SCALED_UP))])
def test_up_cools_for_30_s(ago: float, result: tuple[int, Reason]) -> None:
    assert found(9, remembering(Memory().with_scaled(1, 6, NOW - ago))) == result


@pytest.mark.parametrize(("ago", "result"), [(119.9, (6, Reason.COOLING_DOWN)), (120.0, (4, Reason.SCALED_DOWN))])
def test_down_cools_for_120_s(ago: float, result: tuple[int, Reason]) -> None:
    assert found(4, remembering(Memory().with_scaled(1, 6, NOW - ago))) == result


def test_waking_from_zero_does_not_cool() -> None:
    assert found(2, remembering(Memory().with_scaled(1, 0, NOW - 1), replicas=0)) == (2, Reason.SCALED_UP)


def test_a_retention_risk_does_not_wait_for_anything_on_its_way_up() -> None:
    fresh = replace(remembering(Memory().with_scaled(1, 6, NOW - 1)), retention=(next(iter(CALM.lag)), 60.0))
    steps = replace(POLICY, scale_up=ScalingRules(300, 300, policies=(StepPolicy(StepUnit.PODS, 1, 60),)))
    assert found(12, fresh, steps) == (12, Reason.SCALED_UP)
    assert found(4, fresh) == (6, Reason.COOLING_DOWN)


def test_the_steps_of_the_user_are_kept() -> None:
    steps = replace(POLICY, scale_up=ScalingRules(0, 0, policies=(StepPolicy(StepUnit.PODS, 2, 60),)))
    stable = after(12, CALM, steps)
    assert (stable.replicas, [limit.reason for limit in stable.trail]) == (8, [Reason.STEP_LIMIT])
    used_up = remembering(Memory().with_scaled(4, 6, NOW - 59))
    assert found(12, used_up, steps) == (6, Reason.STEP_LIMIT)


FOUR_AN_HOUR = ScalingRules(0, 0, max_changes_per_hour=4)
LIMITED = replace(POLICY, scale_up=FOUR_AN_HOUR, scale_down=FOUR_AN_HOUR)
MADE = (NOW - 2880, NOW - 2000, NOW - 1000, NOW - 500)


def test_a_change_is_not_made_while_as_many_as_allowed_were_made_within_the_hour() -> None:
    down = after(4, remembering(Memory(downs=MADE)), LIMITED)
    assert (down.replicas, down.reason) == (6, Reason.STEP_LIMIT)
    assert down.why == "4 of 4 scale-downs within an hour; the next is possible in 12 min"
    up = after(9, remembering(Memory(ups=MADE)), LIMITED)
    assert (up.replicas, up.reason) == (6, Reason.STEP_LIMIT)
    assert up.why == "4 of 4 scale-ups within an hour; the next is possible in 12 min"


def test_the_limit_of_a_day_is_reported_as_one() -> None:
    daily = replace(POLICY, scale_down=ScalingRules(0, 0, max_changes_per_day=2))
    made = Memory(downs=(NOW - 80_000, NOW - 4000))
    assert after(4, remembering(made), daily).why == "2 of 2 scale-downs within a day; the next is possible in 107 min"


def test_the_next_change_is_made_once_the_oldest_is_an_hour_old() -> None:
    made = remembering(Memory(downs=(NOW - 3600, *MADE[1:]), ups=(NOW - 3600, *MADE[1:])))
    assert found(4, made, LIMITED) == (4, Reason.SCALED_DOWN)
    assert found(9, made, LIMITED) == (9, Reason.SCALED_UP)


def test_changes_of_one_direction_do_not_count_for_the_other() -> None:
    assert found(9, remembering(Memory(downs=MADE)), LIMITED) == (9, Reason.SCALED_UP)
    assert found(4, remembering(Memory(ups=MADE)), LIMITED) == (4, Reason.SCALED_DOWN)


def test_every_other_veto_is_reported_before_the_limit_of_an_hour() -> None:
    spent = remembering(Memory(ups=MADE, downs=MADE).with_scaled(5, 6, NOW - 10))
    cooling = ScalingRules(0, 60, max_changes_per_hour=4)
    slow = replace(POLICY, scale_up=cooling, scale_down=cooling)
    assert found(4, spent, slow) == (6, Reason.COOLING_DOWN)
    assert found(9, spent, slow) == (6, Reason.COOLING_DOWN)
    assert found(4, replace(spent, backlog=Backlog.BEHIND), slow) == (6, Reason.STILL_BEHIND)


def test_waking_from_zero_yields_to_no_limit() -> None:
    assert found(2, remembering(Memory(ups=MADE), replicas=0), LIMITED) == (2, Reason.SCALED_UP)
    assert found(2, remembering(Memory(ups=MADE), replicas=1), LIMITED) == (1, Reason.STEP_LIMIT)


def test_going_to_zero_counts_as_any_scale_down() -> None:
    to_zero = replace(LIMITED, min_replicas=0)
    assert found(0, remembering(Memory(downs=MADE), replicas=1), to_zero) == (1, Reason.STEP_LIMIT)


def test_a_retention_risk_yields_to_no_limit_on_its_way_up() -> None:
    risky = replace(remembering(Memory(ups=MADE)), retention=(next(iter(CALM.lag)), 60.0))
    assert found(9, risky, LIMITED) == (9, Reason.SCALED_UP)
    assert found(9, replace(risky, retention=None), LIMITED) == (6, Reason.STEP_LIMIT)


def test_the_way_back_into_the_bounds_yields_to_no_limit() -> None:
    spent = remembering(Memory(ups=MADE, downs=MADE))
    assert found(3, spent, replace(LIMITED, max_replicas=5)) == (5, Reason.SCALED_DOWN)
    assert found(9, spent, replace(LIMITED, min_replicas=7)) == (7, Reason.SCALED_UP)
    assert found(3, spent, replace(LIMITED, max_replicas=6)) == (6, Reason.STEP_LIMIT)


PENDING = Memory(awaited=Awaited(NOW - 40))


@pytest.mark.parametrize(("situation", "result"), [
    (replace(CALM, awaits_first_commit=True), Reason.NO_COMMITTED_OFFSETS),
    (replace(CALM, replicas=Replicas(6, 5)), Reason.REPLICAS_PENDING),
    (replace(remembering(PENDING), group=members(5)), Reason.REPLICAS_PENDING),
    (replace(remembering(PENDING), group=members(6)), Reason.SCALED_UP),
    (replace(CALM, group=members(5)), Reason.SCALED_UP),
    (replace(remembering(PENDING), group=Unknown("no coordinator")), Reason.SCALED_UP),
    (replace(remembering(Memory(awaited=Awaited(NOW - 599))), group=members(5)), Reason.REPLICAS_PENDING),
    (replace(remembering(Memory(awaited=Awaited(NOW - 600))), group=members(5)), Reason.SCALED_UP),
    (replace(CALM, replicas=Replicas(6, 7)), Reason.SCALED_UP),
    (replace(CALM, backlog=Backlog.BEHIND), Reason.SCALED_UP),
])
def test_what_holds_a_scale_up(situation: Situation, result: Reason) -> None:
    assert found(9, situation) == (9 if result is Reason.SCALED_UP else 6, result)


SHAKING = Group("PreparingRebalance", "range")


@pytest.mark.parametrize(("situation", "result"), [
    *((replace(CALM, backlog=state), Reason.STILL_BEHIND) for state in Backlog if state is not Backlog.CAUGHT_UP),
    (replace(CALM, group=SHAKING), Reason.REBALANCING),
    (replace(CALM, group=Unknown("no coordinator")), Reason.METRICS_PARTIAL),
    (replace(CALM, replicas=Replicas(6, 7)), Reason.ROLLING_OUT),
    (replace(CALM, replicas=Replicas(6, 5)), Reason.ROLLING_OUT),
    (replace(CALM, unbroken_seconds=299.9), Reason.STABILIZING),
    (replace(CALM, unbroken_seconds=300.0), Reason.SCALED_DOWN),
    (replace(CALM, unfailed_seconds=30.0), Reason.STABILIZING),
    (replace(CALM, unfailed_seconds=30.1), Reason.SCALED_DOWN),
    (replace(CALM, backlog=Backlog.BEHIND, group=SHAKING, replicas=Replicas(6, 7)), Reason.STILL_BEHIND),
    (replace(CALM, group=SHAKING, replicas=Replicas(6, 7), unbroken_seconds=0.0), Reason.REBALANCING),
    (replace(CALM, replicas=Replicas(6, 7), unbroken_seconds=0.0), Reason.ROLLING_OUT),
])
def test_what_holds_a_scale_down_and_in_which_order(situation: Situation, result: Reason) -> None:
    assert found(4, situation) == (4 if result is Reason.SCALED_DOWN else 6, result)


def withdrawn(**changes: object) -> Situation:
    memory = Memory(ineffective=Ineffective(3, NOW + 60, 1, 6, 300.0, 305.0)).with_scaled(3, 6, NOW - 5)
    behind = replace(remembering(memory), backlog=Backlog.BEHIND, unbroken_seconds=0.0)
    return replace(behind, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("situation", "result"), [
    (withdrawn(), (3, Reason.SCALED_DOWN)),
    (withdrawn(group=SHAKING), (6, Reason.REBALANCING)),
    (withdrawn(replicas=Replicas(6, 7)), (6, Reason.ROLLING_OUT)),
])
def test_a_withdrawal_waits_for_a_rebalance_and_a_rollout_alone(
    situation: Situation, result: tuple[int, Reason]
) -> None:
    assert found(3, situation) == result


def test_a_withdrawal_yields_to_no_limit_of_an_hour() -> None:
    helpless = withdrawn()
    spent = replace(helpless, memory=replace(helpless.memory, downs=MADE))
    assert found(3, spent, LIMITED) == (3, Reason.SCALED_DOWN)
    assert spent_limit(LIMITED, spent.memory, spent, is_up=False) is None, "nor is it said to wait for one"


def test_a_look_that_failed_of_late_is_told() -> None:
    assert after(4, replace(CALM, unfailed_seconds=15.2)).why == "15 s of 30 s since a look that failed"


def test_under_lag_per_replica_the_most_wanted_of_the_window_counts() -> None:
    classic = replace(POLICY, lag_per_replica=100)
    before = Memory().with_recommended(5, classic, NOW - 300)
    assert found(3, remembering(before), classic) == (5, Reason.SCALED_DOWN)
    assert found(3, remembering(Memory().with_recommended(5, classic, NOW - 301)), classic) == (3, Reason.SCALED_DOWN)
    assert found(3, remembering(Memory().with_recommended(8, classic, NOW - 9)), classic) == (6, Reason.STABILIZING)
    assert found(3, remembering(before)) == (3, Reason.SCALED_DOWN), "the objective's window is one of arrivals"


def test_the_least_wanted_of_the_up_window_counts() -> None:
    slow = replace(POLICY, scale_up=ScalingRules(60, 0))
    assert found(12, remembering(Memory().with_recommended(8, slow, NOW - 60)), slow) == (8, Reason.SCALED_UP)
    assert found(12, remembering(Memory().with_recommended(8, slow, NOW - 61)), slow) == (12, Reason.SCALED_UP)
    assert found(12, remembering(Memory().with_recommended(5, slow, NOW - 9)), slow) == (6, Reason.STABILIZING)
    trail = after(12, remembering(Memory().with_recommended(8, slow, NOW - 60)), slow).trail
    assert [(limit.replicas, limit.reason, limit.why) for limit in trail] == [
        (8, Reason.STABILIZING, "the least wanted within 60 s")]


def test_at_the_very_bounds_the_windows_and_vetoes_hold() -> None:
    assert found(4, CALM, replace(POLICY, max_replicas=6)) == (4, Reason.SCALED_DOWN)
    assert found(9, CALM, replace(POLICY, min_replicas=6)) == (9, Reason.SCALED_UP)
    shaking = replace(CALM, group=SHAKING)
    assert found(4, shaking, replace(POLICY, max_replicas=6)) == (6, Reason.REBALANCING)


def test_a_single_replica_below_the_bounds_goes_to_them_without_waiting() -> None:
    fresh = Memory().with_scaled(6, 1, NOW - 1)
    assert found(9, remembering(fresh, replicas=1), replace(POLICY, min_replicas=2)) == (2, Reason.SCALED_UP)


def test_a_retention_risk_that_more_consumers_cannot_help_waits_as_others() -> None:
    tp = next(iter(CALM.lag))
    fresh = replace(remembering(Memory().with_scaled(1, 6, NOW - 1)), retention=(tp, 60.0))
    assert found(12, replace(fresh, stuck=frozenset({tp}))) == (6, Reason.COOLING_DOWN)


def test_after_a_regret_the_watch_is_longer_and_told_so() -> None:
    regretful = Memory().with_scaled(6, 4, NOW - 600).with_scaled(4, 6, NOW - 540)
    short = replace(remembering(regretful), unbroken_seconds=599.0)
    assert after(4, short).why == "complete samples for 599 s of 600 s"
    assert found(4, replace(short, unbroken_seconds=600.0)) == (4, Reason.SCALED_DOWN)
    classic = replace(POLICY, lag_per_replica=100)
    before = replace(regretful, highs=(Recommended(NOW - 500, 5),))
    assert [limit.why for limit in after(3, remembering(before), classic).trail] == ["the most wanted within 600 s"]


def test_whoever_stays_is_told_why() -> None:
    assert after(6).why == "as many as wanted"
    assert after(9, remembering(Memory().with_scaled(1, 6, NOW - 10))).why == (
        "10 s of 30 s cooldown since the last change")
    slow = replace(POLICY, scale_up=ScalingRules(60, 0))
    assert after(12, remembering(Memory().with_recommended(5, slow, NOW - 9)), slow).why == (
        "12 is not yet wanted for the whole stabilization window")


def test_the_steps_that_allow_no_more_are_on_the_trail() -> None:
    steps = replace(POLICY, scale_up=ScalingRules(0, 0, policies=(StepPolicy(StepUnit.PODS, 2, 60),)))
    stable = after(12, remembering(Memory().with_scaled(4, 6, NOW - 59)), steps)
    assert stable.why == "the behavior policies allow no more for now"
    assert [(limit.replicas, limit.reason) for limit in stable.trail] == [(6, Reason.STEP_LIMIT)]


def test_a_group_without_any_member_waits_for_the_first_however_long() -> None:
    awaited = Memory(awaited=Awaited(NOW - 700))
    empty = replace(remembering(awaited), group=Group("Empty"))
    assert found(9, empty) == (6, Reason.REPLICAS_PENDING)
    assert after(9, empty).why == "none of 6 replicas is a member of the group"
    assert found(2, replace(remembering(awaited, replicas=1), group=Group("Empty"))) == (1, Reason.REPLICAS_PENDING)
    assert found(9, replace(empty, group=SHAKING)) == (9, Reason.SCALED_UP)
    assert found(2, replace(remembering(awaited, replicas=0), group=Group("Empty"))) == (2, Reason.SCALED_UP)


def joining(since: float, rebalancing: float, awaited: bool) -> Situation:
    """6 members in a rebalance that was seen for so long, so many seconds after a change to 6."""
    memory = replace(Memory().with_scaled(1, 6, NOW - since), awaited=Awaited(NOW - since) if awaited else None)
    group = Group("PreparingRebalance", "", members(6).members)
    return replace(remembering(memory), group=group, rebalancing_seconds=rebalancing)


def test_the_rebalance_in_which_new_consumers_join_holds_up_the_next_change_however_late_it_begins() -> None:
    """Pods that start in two minutes begin it two minutes after the change."""
    assert found(9, joining(since=120, rebalancing=1, awaited=True)) == (6, Reason.REBALANCING)
    assert found(9, joining(since=120, rebalancing=119, awaited=False)) == (6, Reason.REBALANCING)
    assert found(9, joining(since=120, rebalancing=1, awaited=False)) == (9, Reason.SCALED_UP), "another one"
    assert found(9, joining(since=120, rebalancing=20, awaited=True)) == (9, Reason.SCALED_UP), "4 times 5 s"
