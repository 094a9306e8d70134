"""Stories from snapshots to verdicts: every stage of the core takes part, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Fallback, Mode, OffsetReset, Policy, ScalingRules
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Replicas, Snapshot, Unknown
from kafka_consumer_scaler.core.verdict import Abstain, ConditionType, Hold, ScaleTo
from tests.world import T0, World, blind, downs, minutes, moves, reasons, steps, without

POLICY = Policy(max_replicas=12, lag_per_replica=500, polling_interval_seconds=5,
                scale_down=ScalingRules(stabilization_window_seconds=60, cooldown_seconds=30))


def test_a_fivefold_spike_is_scaled_up_held_and_scaled_down_without_a_flap() -> None:
    world = World(POLICY, steps((0, 90), (120, 500), (420, 90)))
    changes = moves(world.run(minutes(15)))
    ups = [change for change in changes if change[1] > change[0]]
    assert changes[:len(ups)] == ups, "all scale-ups come before all scale-downs"
    assert max(after for _, after in ups) >= 6
    assert changes[-1][1] <= 2
    assert world.rows[-1].verdict.backlog is Backlog.CAUGHT_UP


def test_the_first_poll_past_the_threshold_scales_up() -> None:
    rows = World(POLICY, steps((0, 0), (30, 1000))).run(60)
    past = next(row for row in rows if row.lag > 550)
    assert past.scaled_to is not None


def test_a_drained_backlog_is_not_mistaken_for_a_load_that_went_away() -> None:
    rows = World(POLICY, steps((0, 90), (60, 560))).run(minutes(8))
    assert downs(rows) == [(12, 6)], "6 are enough for 560 a second, 4 are not"


def test_a_step_down_that_was_regretted_is_not_tried_again_for_an_hour() -> None:
    rows = World(POLICY, steps((0, 90), (60, 560))).run(minutes(55))
    assert moves(rows) == [(1, 6), (6, 12), (12, 6), (6, 4), (4, 12), (12, 6)]


def test_spikes_that_return_just_after_the_window_stop_causing_flaps() -> None:
    world = World(POLICY, lambda at: 600 if at % 150 < 40 else 30)
    first, last = len(moves(world.run(minutes(20)))), len(moves(world.run(minutes(20))))
    assert first > 2, "the first returns are regretted"
    assert last <= first / 2


def test_replicas_never_exceed_the_partitions() -> None:
    world = World(replace(POLICY, max_replicas=50), steps((0, 5000)), partitions=4)
    rows = world.run(minutes(5))
    assert world.replicas == 4
    limited = rows[-1].verdict.condition(ConditionType.SCALING_LIMITED)
    assert (limited.status, limited.reason) == (True, Reason.AT_PARTITION_LIMIT)
    assert reasons(rows).count(Reason.SCALING_LIMITED) == 1


def test_the_message_tells_lag_partitions_from_to_and_because() -> None:
    world = World(replace(POLICY, max_replicas=8), steps((0, 3000)))
    first = next(row for row in world.run(60) if row.scaled_to)
    message = first.verdict.message
    assert message == (
        "Scaled up from 1 to 6: lag 14,508 records (age unknown) on 12 partitions; 30 wanted (500 records a replica) "
        "-> 12 (12 useful for the partitions) -> 8 (maxReplicas 8) -> 6 (as fast as 8)")


@pytest.mark.parametrize("spoil", [without(3), blind])
def test_one_unknown_partition_is_enough_to_hold(spoil) -> None:  # type: ignore[no-untyped-def]
    world = World(POLICY, steps((0, 500)), replicas=6)
    world.run(60)
    world.spoil = spoil
    rows = world.run(minutes(10))
    assert moves(rows) == []
    assert all(isinstance(row.verdict.decision, Abstain) for row in rows)
    assert reasons(rows) == [Reason.METRICS_UNAVAILABLE], "said once"


@pytest.mark.parametrize(("bad_samples", "waits"), [(1, 10), (2, 10), (3, 60)])
def test_after_bad_samples_two_polls_pass_before_a_scale_down_and_after_three_a_whole_window(
    bad_samples: int, waits: int
) -> None:
    world = World(POLICY, steps((0, 0)), replicas=6)
    world.run(50)
    world.spoil = blind
    world.run(5 * bad_samples)
    world.spoil = lambda snapshot: snapshot
    rows = world.run(minutes(3))
    down = next(row.at for row in rows if row.scaled_to is not None)
    assert waits <= down - 50 - 5 * bad_samples <= waits + 15
    if bad_samples > 1:
        return
    assert reasons(world.rows) == [Reason.SCALED_DOWN], "one bad sample is shown by the condition and not said"


def test_a_third_bad_sample_in_a_row_is_said_and_withdrawn() -> None:
    world = World(POLICY, steps((0, 0)), replicas=6)
    world.run(50)
    world.spoil = blind
    assert reasons(world.run(10)) == []
    assert reasons(world.run(10)) == [Reason.METRICS_UNAVAILABLE]
    world.spoil = lambda snapshot: snapshot
    assert reasons(world.run(5)) == [Reason.METRICS_RECOVERED]


def test_unknown_metrics_lead_to_the_fallback_only_after_its_failure_count() -> None:
    world = World(replace(POLICY, fallback=Fallback(failure_threshold=4, replicas=5)), steps((0, 0)))
    world.spoil = blind
    rows = world.run(60)
    assert [row.at for row in rows if row.scaled_to == 5] == [20.0]


def test_a_missing_target_is_said_once_and_scaled_when_it_is_back() -> None:
    world = World(POLICY, steps((0, 1000)))
    world.target = Unknown("Deployment shop/orders does not exist", Reason.TARGET_NOT_FOUND)
    rows = world.run(60)
    assert reasons(rows) == [Reason.TARGET_NOT_FOUND]
    assert rows[-1].verdict.condition(ConditionType.ABLE_TO_SCALE).reason is Reason.TARGET_NOT_FOUND
    world.target = None
    back = world.run(10)
    assert reasons(back)[0] is Reason.TARGET_FOUND
    assert moves(back)


def test_zero_only_after_a_whole_window_without_traffic_and_back_on_the_first_record() -> None:
    policy = replace(POLICY, min_replicas=0)
    world = World(policy, steps((0, 50), (60, 0), (300, 1)))
    rows = world.run(minutes(8))
    assert [change for change in moves(rows) if 0 in change] == [(1, 0), (0, 1)]
    to_zero = next(row.at for row in rows if row.scaled_to == 0)
    woken = next(row.at for row in rows if row.before == 0 and row.scaled_to)
    assert to_zero >= 60 + 60
    assert 300 < woken <= 325


def test_a_group_that_keeps_up_with_its_traffic_is_not_sent_to_zero() -> None:
    world = World(replace(POLICY, min_replicas=0), steps((0, 12)), commit_seconds=1)
    assert moves(world.run(minutes(10))) == []


def test_activation_lag_keeps_a_group_at_zero() -> None:
    world = World(replace(POLICY, min_replicas=0, activation_lag=100), steps((0, 1)), replicas=0)
    rows = world.run(minutes(3))
    woken = next(row for row in rows if row.scaled_to)
    assert woken.lag > 100


def test_zero_replicas_set_by_someone_else_switch_scaling_off() -> None:
    world = World(POLICY, steps((0, 1000)), replicas=0)
    rows = world.run(60)
    assert moves(rows) == []
    decision = rows[-1].verdict.decision
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.SCALED_TO_ZERO_BY_OTHERS


def test_a_group_that_never_commits_is_not_scaled_to_the_maximum() -> None:
    world = World(replace(POLICY, offset_reset=OffsetReset.EARLIEST), steps((0, 1000)), offset_reset_done=False)
    rows = world.run(minutes(2))
    assert moves(rows) == []
    said_at = [row.at for row in rows if Reason.METRICS_UNAVAILABLE in reasons([row])]
    assert said_at == [65.0], "a first commit may take a while"
    assert rows[-1].verdict.condition(ConditionType.METRICS_AVAILABLE).reason is Reason.NO_COMMITTED_OFFSETS


def test_members_of_an_empty_topic_have_nothing_to_commit() -> None:
    rows = World(POLICY, steps((0, 0)), offset_reset_done=False).run(minutes(3))
    assert reasons(rows) == []


def test_a_new_group_without_commits_wakes_by_the_growth_since_it_was_first_seen() -> None:
    policy = replace(POLICY, min_replicas=0, offset_reset=OffsetReset.LATEST)
    world = World(policy, steps((0, 0), (30, 10)), replicas=0, offset_reset_done=False)
    assert moves(world.run(60)) == [(0, 1)]


def test_offset_reset_none_makes_an_uncommitted_partition_unknown() -> None:
    world = World(replace(POLICY, min_replicas=0, offset_reset=OffsetReset.NONE), steps((0, 10)), replicas=0,
                  offset_reset_done=False)
    rows = world.run(30)
    assert moves(rows) == []
    assert rows[-1].verdict.condition(ConditionType.METRICS_AVAILABLE).reason is Reason.NO_COMMITTED_OFFSETS


def test_a_rewound_group_is_never_scaled_down() -> None:
    world = World(POLICY, steps((0, 400)), replicas=6)
    world.run(minutes(2))
    world.done = [0.0] * 12
    behind = [row for row in world.run(minutes(3)) if row.lag > 500]
    assert behind
    assert all(after >= before for before, after in moves(behind))


def test_a_recreated_topic_starts_the_story_anew() -> None:
    world = World(POLICY, steps((0, 100)), replicas=6)
    world.run(55)
    world.end, world.done, world.committed = [0.0] * 12, [0.0] * 12, [0] * 12
    rows = world.run(55)
    assert moves(rows) == []


def test_a_stuck_partition_does_not_call_for_more_replicas() -> None:
    world = World(POLICY, steps((0, 120)), replicas=2, stuck=frozenset({4}))
    rows = world.run(minutes(20))
    assert rows[-1].lag > 4 * 500
    late = [after for row in rows if row.at > 400 and (after := row.scaled_to) is not None]
    assert all(after <= 2 for after in late), "the lag of partition 4 alone would ask for ever more"
    assert Reason.STUCK_PARTITION in {each.reason for each in rows[-1].verdict.findings}


def test_a_rebalancing_group_is_never_scaled_down() -> None:
    def rebalancing(snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, group=Group("PreparingRebalance", "range"))

    world = World(POLICY, steps((0, 0)), replicas=6, spoil=rebalancing)
    rows = world.run(minutes(5))
    assert moves(rows) == []
    assert isinstance(rows[-1].verdict.decision, Hold)
    assert rows[-1].verdict.decision.reason is Reason.REBALANCING


def test_a_rollout_is_never_scaled_down() -> None:
    world = World(POLICY, steps((0, 0)), replicas=6, target=Replicas(6, 7))
    rows = world.run(minutes(5))
    assert moves(rows) == []


def test_replicas_that_a_quota_refuses_stop_the_climb() -> None:
    world = World(POLICY, steps((0, 5000)), replicas=2, target=Replicas(2, 1))
    rows = world.run(60)
    assert moves(rows) == []
    decision = rows[-1].verdict.decision
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.REPLICAS_PENDING


def test_a_restart_keeps_the_cooldown_and_does_not_flap() -> None:
    steady = World(POLICY, steps((0, 90), (60, 560)))
    steady.run(minutes(20))
    before = steady.replicas
    steady.restart()
    rows = steady.run(minutes(30))
    assert moves(rows) == [], "the step down that was regretted is remembered"
    assert steady.replicas == before


def test_no_scale_down_within_its_cooldown_after_a_change_even_without_a_window() -> None:
    policy = replace(POLICY, scale_down=ScalingRules(stabilization_window_seconds=0, cooldown_seconds=90))
    changed = Memory().with_scaled(before=2, after=6, at=T0)
    rows = World(policy, steps((0, 0)), replicas=6, memory=changed).run(minutes(3))
    assert next(row.at for row in rows if row.scaled_to is not None) == 90.0
    waiting = rows[1].verdict.decision
    assert isinstance(waiting, Hold)
    assert waiting.reason is Reason.COOLING_DOWN


def test_more_than_max_replicas_are_corrected_at_once() -> None:
    world = World(replace(POLICY, max_replicas=6), steps((0, 500)), replicas=9)
    assert moves(world.run(5)) == [(9, 6)]


@pytest.mark.parametrize(("policy", "reason"), [
    (replace(POLICY, paused=True), Reason.PAUSED),
    (replace(POLICY, mode=Mode.ADVISORY), Reason.ADVISORY),
])
def test_paused_and_advisory_tell_what_they_would_do_and_do_nothing(policy: Policy, reason: Reason) -> None:
    rows = World(policy, steps((0, 5000))).run(30)
    last = rows[-1].verdict
    assert moves(rows) == []
    assert isinstance(last.decision, Hold)
    assert (last.decision.reason, last.decision.replicas) == (reason, 12)
    assert "would scale up from 1 to 12" in last.message


def test_a_refused_write_is_not_remembered_and_is_said_once() -> None:
    world = World(POLICY, steps((0, 1000)))
    first = next(row.verdict for row in world.run(30) if row.scaled_to)
    failed = first.with_failed_scaling(Unknown("forbidden", Reason.TARGET_FORBIDDEN))
    assert failed.memory.last_scale is None
    assert failed.condition(ConditionType.ABLE_TO_SCALE).status is False
    assert [event.reason for event in failed.events] == [Reason.SCALE_FAILED]
    again = replace(first, memory=failed.memory).with_failed_scaling(Unknown("forbidden", Reason.TARGET_FORBIDDEN))
    assert again.events == ()
    assert isinstance(failed.decision, ScaleTo)


def test_steady_load_is_silent() -> None:
    world = World(POLICY, steps((0, 80)))
    world.run(60)
    assert reasons(world.run(minutes(60))) == []
