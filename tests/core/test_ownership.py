"""Whose members a group has: threads are learned, and foreign is who holds our partitions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory, Scaled, Threads
from kafka_consumer_scaler.core.ownership import foreign_members, readers, threads_of, with_threads
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Group, Member, Replicas, TopicPartition, Unknown
from tests.core.making import history, members, orders, seen

POLICY = Policy(max_replicas=12)
AUDIT = TopicPartition("audit", 0)


def watched(*groups: Group | Unknown, every: int = 15) -> History:
    """12 partitions at rest, a sample of each group in turn."""
    return history(*(seen(at * every, *[(100, 100)] * 12, group=group) for at, group in enumerate(groups)))


def learned(found: History, replicas: int, memory: Memory | None = None, existing: int | None = None) -> Memory:
    at = found.samples[-1].at
    there = replicas if existing is None else existing
    return with_threads(memory or Memory(), found, POLICY, Replicas(replicas, there), 30.0, at)


def audited(count: int, others: int) -> Group:
    group = members(count)
    elsewhere = tuple(Member(f"audit-{n}", frozenset({AUDIT})) for n in range(others))
    return replace(group, members=(*group.members, *elsewhere))


def test_members_that_divide_evenly_are_the_threads_of_the_replicas() -> None:
    assert threads_of(POLICY, learned(watched(*[members(6)] * 6), 2)) == 3


def test_members_that_do_not_divide_evenly_are_one_for_each_replica() -> None:
    assert threads_of(POLICY, learned(watched(*[members(5)] * 6), 2)) == 1


@pytest.mark.parametrize(("before", "after", "threads"), [
    ((1, 3), (2, 6), 3), ((1, 3), (2, 4), 1), ((4, 12), (2, 6), 3), ((1, 9), (2, 10), 1), ((2, 4), (4, 8), 2),
])
def test_the_members_that_came_with_a_change_are_the_threads(
    before: tuple[int, int], after: tuple[int, int], threads: int
) -> None:
    memory = learned(watched(*[members(before[1])] * 6), before[0])
    memory = learned(watched(*[members(after[1])] * 6), after[0], memory)
    assert memory.threads is not None
    assert (memory.threads.count, memory.threads.is_learned) == (threads, True)


def test_a_change_that_brought_no_even_number_of_members_teaches_nothing() -> None:
    known = Memory(threads=Threads(2, 2, 4, 0.0, is_learned=True))
    assert threads_of(POLICY, learned(watched(*[members(7)] * 6), 4, known)) == 2


def test_members_that_are_still_to_come_teach_nothing() -> None:
    known = Memory(threads=Threads(3, 1, 3, 0.0))
    memory = learned(watched(*[members(3)] * 6), 4, known)
    assert memory.threads == known.threads, "the state before the change is what the next one is compared with"


def test_the_users_own_number_is_used_as_it_is() -> None:
    policy = replace(POLICY, consumer_threads=2)
    memory = with_threads(Memory(), watched(*[members(6)] * 6), policy, Replicas(2, 2), 30.0, 75.0)
    assert (memory, threads_of(policy, memory)) == (Memory(), 2)


def test_a_group_that_cannot_be_described_teaches_nothing() -> None:
    found = watched(*[members(3)] * 5, Unknown("no coordinator"))
    assert learned(found, 1) == Memory()


def test_members_of_another_topic_are_not_counted() -> None:
    group = audited(2, 12)
    found = watched(*[group] * 6)
    assert len(readers(group, orders(12))) == 2
    assert threads_of(POLICY, learned(found, 2)) == 1
    assert foreign_members(found, orders(12), 1, Replicas(2, 2), ()) == 0


def test_members_without_a_partition_take_nobodys_place() -> None:
    group = members(1)
    idle = replace(group, members=(*group.members, *(Member(f"idle-{n}") for n in range(12))))
    assert foreign_members(watched(*[idle] * 6), orders(12), 1, Replicas(1, 1), ()) == 0
    assert threads_of(POLICY, learned(watched(*[idle] * 6), 1)) == 1


def test_members_beyond_ours_that_hold_our_partitions_are_foreign() -> None:
    assert foreign_members(watched(*[members(6)] * 6), orders(12), 1, Replicas(4, 4), ()) == 2


def test_foreign_members_that_left_are_forgotten_at_the_next_poll() -> None:
    found = watched(*[members(6)] * 6, members(4))
    assert foreign_members(found, orders(12), 1, Replicas(4, 4), ()) == 0


def test_members_of_replicas_that_just_left_are_ours() -> None:
    found = watched(*[members(6)] * 6)
    scaled = (Scaled(70.0, 6, 4),)
    assert foreign_members(found, orders(12), 1, Replicas(4, 4), scaled) == 0


def test_the_members_of_a_surge_are_ours() -> None:
    assert foreign_members(watched(*[members(6)] * 6), orders(12), 1, Replicas(4, 6), ()) == 0


def test_a_rebalance_tells_of_nobody() -> None:
    moving = Group("PreparingRebalance", "range", tuple(Member(f"m{n}") for n in range(9)))
    assert foreign_members(watched(*[moving] * 6), orders(12), 1, Replicas(4, 4), ()) == 0


def fewer(minutes: int, trouble: str = "", existing: int = 4) -> int:
    """4 replicas of 3 threads each were learned, and each has one member for so long."""
    known = Memory(threads=Threads(3, 4, 12, 0.0, is_learned=True))
    found = watched(*[members(4)] * (4 * minutes + 1))
    memory = with_threads(known, found, POLICY, Replicas(4, existing, trouble), 30.0, found.samples[-1].at)
    return threads_of(POLICY, memory)


def test_fewer_members_of_each_replica_for_ten_minutes_are_learned_without_a_change() -> None:
    assert fewer(10) == 1
    assert fewer(8) == 3


def test_missing_members_of_pods_that_fail_or_are_missing_are_no_fewer_threads() -> None:
    assert fewer(10, trouble="2 of 4 pods in CrashLoopBackOff") == 3
    assert fewer(10, existing=5) == 3


@pytest.mark.parametrize(("ago", "steady"), [(119.0, None), (120.0, Threads(1, 8, 4, 75.0))])
def test_a_group_whose_newcomers_may_still_start_is_not_steady(ago: float, steady: Threads | None) -> None:
    """8 replicas exist, of which 4 are members: taken for steady, 4 more replicas and 8 more members were 2 threads."""
    memory = Memory().with_scaled(4, 8, 75.0 - ago)
    assert learned(watched(*[members(4)] * 6), 8, memory).threads == steady


def test_once_a_newcomer_has_joined_a_minute_without_another_is_steady() -> None:
    memory = Memory().with_scaled(4, 8, -10.0)
    groups = [members(4), *[members(8)] * 6]
    assert learned(watched(*groups), 8, memory).threads == Threads(1, 8, 8, 90.0)
