"""Groups as people run them: shared, read in part, assigned by hand, with threads, with a partition that is stuck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Snapshot, TopicPartition, Unknown
from tests.world import Seen, World, minutes, moves, steps

POLICY = Policy(max_replicas=12)
LEARNED = Memory(capacity=Capacity(100.0, learned=True))


def findings(rows: list[Seen]) -> set[Reason]:
    return {finding.reason for row in rows for finding in row.verdict.findings}


def shared(snapshot: Snapshot) -> Snapshot:
    """Another Deployment with 12 pods has the same group.id and reads a topic of its own."""
    assert isinstance(snapshot.group, Group)
    others = tuple(Member(f"audit-{n}", frozenset({TopicPartition("audit", n)})) for n in range(12))
    return replace(snapshot, group=replace(snapshot.group, state="Stable", members=(*snapshot.group.members, *others)))


def by_hand(snapshot: Snapshot) -> Snapshot:
    """The consumers assign partitions themselves: nobody is a member."""
    return replace(snapshot, group=Group("Empty"))


def reconciling(snapshot: Snapshot) -> Snapshot:
    """One member keeps the group from settling for ever; the others work."""
    assert isinstance(snapshot.group, Group)
    return replace(snapshot, group=replace(snapshot.group, state="Reconciling", assignor="uniform"))


def with_left_topic(partitions: int = 6, rate: float = 20.0) -> Callable[[Snapshot], Snapshot]:
    """A topic that the group gave up still receives records and keeps old commits."""
    def spoiled(snapshot: Snapshot) -> Snapshot:
        assert not isinstance(snapshot.partitions, Unknown)
        end = 10_000 + round(rate * snapshot.at % 1e9 / partitions)
        left = {TopicPartition("legacy", n): Reading(end, 5_000) for n in range(partitions)}
        return replace(snapshot, partitions={**snapshot.partitions, **left})
    return spoiled


def test_a_deployment_that_shares_the_group_and_not_the_topic_is_not_counted() -> None:
    world = World(POLICY, steps((0, 80), (600, 600)), spoil=shared, memory=LEARNED)
    rows = world.run(minutes(30))
    assert 6 <= world.replicas <= 12
    assert max(row.age for row in rows) < 60
    assert Reason.AT_PARTITION_LIMIT not in findings(rows)


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_threads_that_nobody_told_of_are_learned_and_nothing_flaps(threads: int) -> None:
    world = World(POLICY, lambda at: 450.0, threads=threads)
    rows = world.run(minutes(180))
    late = moves([row for row in rows if row.at > minutes(60)])
    assert len(late) <= 2, moves(rows)
    assert world.memory.threads is not None
    assert world.memory.threads.count == threads
    assert rows[-1].verdict.measurements.useful_replicas == -(-12 // threads)


def test_foreign_members_that_leave_during_a_scale_up_count_no_longer() -> None:
    world = World(POLICY, steps((0, 300), (600, 900)), replicas=4, foreign=8, memory=LEARNED)
    world.run(minutes(10) + 20)
    world.foreign = 0
    rows = world.run(minutes(20))
    assert rows[-1].verdict.measurements.useful_replicas == 12


def test_consumers_that_assign_partitions_themselves_are_scaled_by_age() -> None:
    world = World(POLICY, steps((0, 80), (600, 500)), spoil=by_hand)
    rows = world.run(minutes(40))
    assert world.replicas >= 5
    assert max(row.age for row in rows if row.at > minutes(15)) < 60
    assert {Reason.NO_MEMBERS, Reason.OFFSETS_EXPIRING}.isdisjoint(findings(rows))


def test_consumers_that_assign_partitions_themselves_are_scaled_down_too() -> None:
    world = World(POLICY, steps((0, 500), (1200, 80)), replicas=6, spoil=by_hand, memory=LEARNED)
    world.run(minutes(60))
    assert world.replicas <= 2


def test_a_group_that_stays_reconciling_while_it_works_is_scaled_down_and_is_no_storm() -> None:
    world = World(POLICY, lambda at: 80.0, replicas=6, spoil=reconciling, memory=LEARNED)
    rows = world.run(minutes(30))
    assert world.replicas <= 2
    assert Reason.REBALANCE_STORM not in findings(rows)


def test_a_topic_that_was_given_up_counts_for_nothing_and_is_reported() -> None:
    world = World(POLICY, lambda at: 160.0, replicas=2, spoil=with_left_topic(), memory=LEARNED)
    rows = world.run(minutes(40))
    assert moves(rows) == []
    assert findings(rows) == {Reason.UNREAD_PARTITIONS}
    assert rows[-1].verdict.measurements.useful_replicas == 12
    assert rows[-1].verdict.measurements.partitions == 12


def test_a_topic_that_was_given_up_does_not_keep_a_group_from_zero() -> None:
    policy = replace(POLICY, min_replicas=0)
    world = World(policy, steps((0, 50), (300, 0)), replicas=1, spoil=with_left_topic(rate=0), memory=LEARNED)
    world.run(minutes(30))
    assert world.replicas == 0


def test_a_new_operator_is_not_misled_by_a_topic_that_was_given_up() -> None:
    world = World(POLICY, lambda at: 120.0, replicas=2, spoil=with_left_topic(), memory=LEARNED)
    world.run(minutes(10))
    world.restart()
    assert moves(world.run(minutes(5))) == []


def test_a_topic_that_is_read_again_counts_again() -> None:
    world = World(POLICY, lambda at: 120.0, replicas=2, spoil=with_left_topic(), memory=LEARNED)
    world.run(minutes(10))
    world.spoil = lambda snapshot: snapshot
    rows = world.run(minutes(5))
    assert rows[-1].verdict.findings == ()


def test_a_stuck_partition_does_not_hold_up_the_others_on_the_way_down() -> None:
    world = World(POLICY, steps((0, 800), (900, 60)), replicas=12, stuck=frozenset({4}), memory=LEARNED)
    rows = world.run(minutes(90))
    assert world.replicas <= 2
    assert Reason.STUCK_PARTITION in findings(rows)
