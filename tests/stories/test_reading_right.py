"""Reading lag and rates right: each way in which offsets, groups and workloads mislead, and what is decided then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import OffsetReset, Policy, ScalingRules, StepPolicy, StepUnit
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, Snapshot, TopicPartition, Unknown
from kafka_consumer_scaler.core.verdict import Abstain, Hold, Verdict
from tests.world import T0, World, blind, downs, findings, minutes, moves, reasons, steps, ups, without

POLICY = Policy(max_replicas=12)
EVERY_5_S = replace(POLICY, polling_interval_seconds=5)
ZERO = replace(POLICY, min_replicas=0)
LEARNED = Memory(capacity=Capacity(100.0, learned=True))


def knowing(rate: float, replicas: int, **changes: object) -> World:
    """A group under one rate whose consumers' capacity of 100 records/s is known."""
    return World(POLICY, lambda at: rate, replicas=replicas, memory=LEARNED, **changes)  # type: ignore[arg-type]


def judged(history: History, policy: Policy = POLICY, replicas: int = 1, memory: Memory = LEARNED) -> Verdict:
    assert history.latest_at is not None
    return decide(policy, history, Replicas(replicas, replicas), memory, history.latest_at + 0.2)


# offsets

def test_a_commit_read_before_its_end_offset_never_makes_lag_negative() -> None:
    tp = TopicPartition("orders", 0)
    group = Group("Stable", "range", (Member("m0", frozenset({tp})),))
    history = History()
    for at in (0.0, 15.0, 30.0):
        history = history.append(Snapshot(T0 + at, {tp: Reading(end=100, committed=130)}, group))
    verdict = judged(history)
    assert (verdict.measurements.lag_records, verdict.measurements.lag_seconds) == (0, 0.0)
    assert verdict.backlog is Backlog.CAUGHT_UP


def running_out_of_retention(policy: Policy) -> World:
    """3 replicas for 900 records/s; after ten minutes retention deletes 250 a second of each partition."""
    memory = LEARNED.with_scaled(2, 3, T0)
    return World(policy, lambda at: 900.0, replicas=3, deleted=steps((0, 0), (600, 250)), memory=memory)


def test_a_record_that_will_be_deleted_unread_lets_cooldown_and_steps_yield() -> None:
    one_an_hour = ScalingRules(0, 3600, policies=(StepPolicy(StepUnit.PODS, 1, 3600),))
    world = running_out_of_retention(replace(POLICY, scale_up=one_an_hour))
    assert moves(world.run(600)) == [], "the cooldown holds"
    rows = world.run(minutes(4))
    assert moves(rows) == [(3, 12)]
    assert Reason.RETENTION_RISK in findings(rows)
    assert reasons(rows).count(Reason.RETENTION_RISK) == 1, "said once"
    assert "loses unprocessed records" in next(row.verdict.message for row in rows if row.scaled_to)


def test_a_commit_that_retention_has_passed_counts_from_the_log_start() -> None:
    tp = TopicPartition("orders", 0)
    group = Group("Stable", "range", (Member("m0", frozenset({tp})),))
    history = History()
    for at in range(0, 150, 15):
        start = 5000 + 40 * at
        history = history.append(Snapshot(T0 + at, {tp: Reading(20_000, committed=1000, start=start)}, group))
    verdict = judged(history, replicas=0, policy=ZERO)
    assert verdict.measurements.lag_records == 20_000 - (5000 + 40 * 135)
    assert [finding.evidence for finding in verdict.findings] == [
        f"at least {5000 + 40 * 135 - 1000:,} records of orders/0 were deleted before the group processed them",
        "orders/0 loses unprocessed records now"]


@pytest.mark.parametrize(("reset", "wakes"), [(OffsetReset.EARLIEST, True), (OffsetReset.LATEST, False)])
def test_a_group_that_never_committed_has_the_lag_of_its_offset_reset(reset: OffsetReset, wakes: bool) -> None:
    world = World(replace(ZERO, offset_reset=reset), lambda at: 0.0, replicas=0, offset_reset_done=False)
    world.end = [50.0] * 12
    assert (moves(world.run(30)) != []) is wakes
    assert world.rows[0].verdict.measurements.lag_records == (600 if wakes else 0)


def test_growth_counts_under_latest_since_the_group_was_first_seen() -> None:
    world = World(ZERO, steps((0, 0), (60, 12)), replicas=0, offset_reset_done=False)
    world.end = [50.0] * 12
    assert moves(world.run(90)) == [(0, 1)]


def test_offsets_that_expire_at_zero_replicas_leave_no_lag_and_no_gap() -> None:
    world = World(ZERO, steps((0, 60), (600, 0), (1500, 12)))
    world.run(minutes(20))
    assert world.replicas == 0
    world.offset_reset_done = False
    assert moves(world.run(minutes(4))) == [], "the last commits are the baseline"
    assert world.rows[-1].verdict.measurements.lag_records == 0
    assert moves(world.run(minutes(2))) == [(0, 1)]


def marked(policy: Policy = ZERO) -> World:
    """600 s of traffic, then none; each partition ends with a transaction's marker."""
    return World(policy, steps((0, 50), (600, 0)), marked=True)


def test_a_transactions_marker_does_not_keep_a_group_from_zero() -> None:
    rows = marked().run(minutes(17))
    assert moves(rows)[-1:] == [(1, 0)]
    assert rows[-1].verdict.measurements.lag_records == 12


def test_a_transactions_marker_does_not_wake_a_group() -> None:
    world = marked()
    world.run(minutes(17))
    assert moves(world.run(minutes(30))) == []


def test_a_transactions_marker_is_no_stuck_partition() -> None:
    assert Reason.STUCK_PARTITION not in findings(marked(POLICY).run(minutes(20)))


def test_a_transactions_marker_is_no_backlog_after_a_restart() -> None:
    world = marked()
    world.run(minutes(12))
    world.restart()
    rows = world.run(minutes(20))
    assert rows[-1].verdict.backlog is Backlog.CAUGHT_UP
    assert world.replicas == 0


def test_offsets_that_compaction_has_removed_are_passed_in_a_jump() -> None:
    """A tenth of all offsets is left; the consumers pass the gaps as they read on."""
    world = World(POLICY, lambda at: 3000.0, replicas=4, capacity=1000.0)
    rows = world.run(minutes(20))
    assert rows[-1].verdict.backlog is Backlog.CAUGHT_UP
    assert world.replicas in (3, 4)


def test_offsets_that_were_skipped_are_no_capacity() -> None:
    """Someone resets the group to the end of a backlog: 1,200,000 offsets were not processed by anyone."""
    world = knowing(390.0, replicas=4)
    world.run(minutes(10))
    world.end = [end + 100_000 for end in world.end]
    world.run(2)
    world.done = list(world.end)
    rows = world.run(minutes(15))
    assert downs(rows) == []
    found = world.memory.capacity
    assert found is not None
    assert found.per_consumer == pytest.approx(100, rel=0.1)


def test_a_topic_recreated_under_the_group_is_clamped_and_held() -> None:
    world = knowing(300.0, replicas=4)
    world.run(minutes(10))
    world.end, world.done = [0.0] * 12, [0.0] * 12
    rows = world.run(minutes(4))
    assert moves(rows) == []
    assert all(row.lag >= 0 or row.verdict.measurements.lag_records == 0 for row in rows)


def test_a_rewind_is_no_negative_rate_and_takes_no_replicas_away() -> None:
    world = knowing(300.0, replicas=4)
    world.run(minutes(10))
    world.done = [done - 3000 for done in world.done]
    rows = world.run(minutes(10))
    assert Backlog.REWOUND in {row.verdict.backlog for row in rows}
    drains = [row.verdict.measurements.drain for row in rows]
    assert all(isinstance(drain, Unknown) or drain >= 0 for drain in drains)
    behind = [row for row in rows if row.verdict.backlog is not Backlog.CAUGHT_UP]
    assert downs(behind) == []
    assert ups(rows), "120 s of arrivals are older than the objective"


# commits

def minutely() -> World:
    """250 records/s for 3 consumers that commit every 60 s, polled every 5 s."""
    return World(EVERY_5_S, lambda at: 250.0, replicas=3, commit_seconds=60, memory=LEARNED)


def test_a_commit_every_minute_is_neither_a_stall_nor_a_stuck_partition() -> None:
    rows = minutely().run(minutes(40))
    assert Backlog.STALLED not in {row.verdict.backlog for row in rows}
    assert Reason.STUCK_PARTITION not in findings(rows)
    drains = [row.verdict.measurements.drain for row in rows if row.at > 400]
    assert all(drain == pytest.approx(250, rel=0.35) for drain in drains)


def test_a_commit_every_minute_asks_for_no_more_replicas() -> None:
    assert ups(minutely().run(minutes(20))) == []


def test_a_group_that_never_commits_goes_nowhere() -> None:
    world = World(replace(POLICY, offset_reset=OffsetReset.EARLIEST), lambda at: 900.0, offset_reset_done=False)
    rows = world.run(minutes(5))
    assert moves(rows) == []
    assert isinstance(rows[-1].verdict.decision, Abstain)
    assert rows[-1].verdict.decision.reason is Reason.NO_COMMITTED_OFFSETS


# the group

def test_what_a_rebalance_stops_is_no_rate_and_no_capacity() -> None:
    world = World(POLICY, steps((0, 90), (300, 450)), rebalance_seconds=20, memory=LEARNED)
    rows = world.run(minutes(20))
    capacities = {row.verdict.measurements.capacity_per_consumer for row in rows}
    assert all(isinstance(found, Unknown) or found == pytest.approx(100, rel=0.15) for found in capacities)
    assert world.memory.join_seconds == pytest.approx(30, abs=10)
    assert world.memory.pause_seconds is None or 0 <= world.memory.pause_seconds <= 40


def test_partitions_of_a_dead_static_member_wait_for_its_session_and_no_more_replicas_are_asked_for() -> None:
    """Its three partitions have an owner that does not process; after 45 s another takes them over."""
    world = knowing(300.0, replicas=4)
    world.run(minutes(10))
    world.stuck = frozenset({0, 4, 8})
    rows = world.run(45)
    world.stuck = frozenset()
    rows += world.run(minutes(5))
    assert moves(rows) == []


def test_a_rollouts_surge_takes_nothing_away_and_is_not_foreign() -> None:
    world = knowing(100.0, replicas=6, surge=2)
    world.ready = 8
    rows = world.run(minutes(10))
    assert moves(rows) == []
    assert isinstance(rows[-1].verdict.decision, Hold)
    assert rows[-1].verdict.decision.reason is Reason.ROLLING_OUT
    assert rows[-1].verdict.measurements.useful_replicas == 12
    world.surge, world.ready = 0, 6
    world.run(minutes(5))
    assert world.replicas < 6


def test_a_rolling_restart_is_no_reason_to_move() -> None:
    world = knowing(390.0, replicas=4)
    world.run(minutes(10))
    for _ in range(4):
        world.surge, world.settled_at = 1, world.at + 3
        assert moves(world.run(20)) == []
    world.surge = 0
    assert moves(world.run(minutes(5))) == []


def test_replicas_that_crash_before_they_join_are_told_and_not_piled_up() -> None:
    world = World(POLICY, steps((0, 90), (300, 600)), joinable=2, replicas=2, memory=LEARNED)
    rows = world.run(minutes(12))
    assert len(ups(rows)) == 1
    told = next(row for row in rows if Reason.REPLICAS_NOT_JOINING in findings([row]))
    assert 120 <= told.at - next(row.at for row in rows if row.scaled_to) <= 150
    evidence = next(f.evidence for f in told.verdict.findings if f.reason is Reason.REPLICAS_NOT_JOINING)
    assert evidence.startswith("2 of ")
    assert reasons(rows).count(Reason.REPLICAS_NOT_JOINING) == 1


def test_new_partitions_raise_what_is_useful_and_are_no_burst() -> None:
    world = World(replace(POLICY, max_replicas=20), lambda at: 390.0, replicas=4, memory=LEARNED)
    world.run(minutes(10))
    world.grow(8)
    rows = world.run(minutes(10))
    assert moves(rows) == []
    assert rows[-1].verdict.measurements.useful_replicas == 20


def test_one_unknown_partition_of_twelve_holds() -> None:
    world = knowing(900.0, replicas=4)
    world.run(30)
    world.spoil = without(7)
    rows = world.run(minutes(10))
    assert moves(rows) == []
    assert {type(row.verdict.decision) for row in rows} == {Abstain}
    assert "1 of 12 partitions unknown, first orders/7" in rows[-1].verdict.message


def test_one_bad_sample_between_good_ones_is_survived() -> None:
    world = knowing(390.0, replicas=4)
    world.run(minutes(10))
    world.spoil = blind
    world.run(15)
    world.spoil = lambda snapshot: snapshot
    assert moves(world.run(minutes(10))) == []


def test_a_finding_is_not_said_again_after_a_bad_sample() -> None:
    world = knowing(300.0, replicas=4, stuck=frozenset({4}))
    world.run(minutes(10))
    world.spoil = blind
    world.run(15)
    world.spoil = lambda snapshot: snapshot
    world.run(minutes(5))
    assert reasons(world.rows).count(Reason.STUCK_PARTITION) == 1


# time

def test_a_gap_between_polls_invents_no_rate_and_no_move() -> None:
    world = knowing(390.0, replicas=4)
    world.run(minutes(10))
    world.pause_polls(minutes(15))
    rows = world.run(minutes(10))
    assert moves(rows) == []
    assert rows[0].verdict.measurements.arrival == pytest.approx(390, rel=0.02)


def test_after_a_gap_a_whole_window_passes_before_a_scale_down() -> None:
    world = World(POLICY, steps((0, 390), (650, 50)), replicas=4, memory=LEARNED)
    world.run(minutes(10))
    world.pause_polls(minutes(15))
    rows = world.run(minutes(10))
    assert downs(rows)
    assert next(row.at for row in rows if row.scaled_to) - rows[0].at >= 300


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_moves_nothing(jump: float) -> None:
    world = knowing(390.0, replicas=4)
    world.run(minutes(10))
    world.at += jump
    assert moves(world.run(minutes(10))) == []


# the workload

def test_an_uneven_split_is_not_asked_for() -> None:
    world = World(Policy(max_replicas=10), lambda at: 700.0, partitions=10, replicas=5, memory=LEARNED)
    assert moves(world.run(minutes(5))) == [(5, 10)], "6..9 have a consumer of two partitions as 5 have"


def test_range_with_three_topics_has_the_use_of_the_largest_alone() -> None:
    world = World(POLICY, lambda at: 900.0, topics=3, assignor="range", replicas=2, memory=LEARNED)
    rows = world.run(minutes(5))
    assert world.replicas == 4
    assert rows[-1].verdict.measurements.useful_replicas == 4
    assert Reason.AT_PARTITION_LIMIT in findings(rows)


def test_all_topics_together_have_the_use_of_all_partitions() -> None:
    world = World(POLICY, lambda at: 900.0, topics=3, assignor="roundrobin", replicas=2, memory=LEARNED)
    world.run(minutes(5))
    assert world.replicas == 12


def test_threads_of_a_replica_are_consumers() -> None:
    world = World(replace(POLICY, consumer_threads=4), lambda at: 900.0, memory=LEARNED)
    rows = world.run(minutes(10))
    assert moves(rows) == [(1, 3)]
    assert rows[-1].verdict.measurements.useful_replicas == 3


def test_members_that_are_not_ours_take_their_part() -> None:
    world = knowing(590.0, replicas=4, foreign=2)
    rows = world.run(minutes(10))
    assert moves(rows) == [], "4 of ours and 2 others are 6 consumers"
    assert rows[-1].verdict.measurements.useful_replicas == 10


def test_a_groups_low_rate_is_never_its_capacity() -> None:
    world = World(POLICY, steps((0, 20), (1200, 500)), replicas=3, memory=LEARNED)
    world.run(minutes(20))
    assert world.memory.capacity == Capacity(100.0, learned=True)
    assert ups(world.run(minutes(3))) == [(1, 6)], "one jump by what is known, not by what was seen"


def test_zero_needs_commits_that_have_caught_up() -> None:
    world = World(ZERO, steps((0, 50), (300, 0)), commit_seconds=600)
    rows = world.run(minutes(9))
    assert all(0 not in change for change in moves(rows)), "the last records are not committed"


def test_another_scaler_on_the_target_is_refused() -> None:
    world = knowing(900.0, replicas=2)
    world.target = Unknown("a HorizontalPodAutoscaler scales it too", Reason.TARGET_CONFLICT)
    rows = world.run(minutes(5))
    assert moves(rows) == []
    assert reasons(rows) == [Reason.TARGET_CONFLICT]
