"""What is stuck, at risk or uncommitted where members, partitions or commits are not as usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.diagnosis import (
    kept_partitions,
    retention_risk,
    stuck_partitions,
    uncommitted_seconds,
)
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Snapshot, TopicPartition, Uncommitted, Unknown
from tests.core.making import P0, P1, STABLE, history, seen

POLICY = Policy(max_replicas=10, polling_interval_seconds=5)
LAG = {P0: 100.0, P1: 400.0}


def one_moves(seconds: int, last: Group | Unknown = STABLE, step: int = 5) -> History:
    """Partition 0 is committed at every look, partition 1 has lag and is not."""
    return history(*(seen(at, (at * 10 + 100, at * 10), (500, 100), group=last if at == seconds else STABLE)
                     for at in range(0, seconds + 1, step)))


def test_partitions_of_topics_that_are_not_watched_are_not_looked_at() -> None:
    others = Member("m2", frozenset({TopicPartition("refunds", 0)}))
    assert stuck_partitions(one_moves(120, replace(STABLE, members=(*STABLE.members, others))), POLICY, LAG) == {P1}


@pytest.mark.parametrize(("waiting", "is_stuck"), [(0.0, False), (0.5, True), (1.0, True)])
def test_what_is_stuck_has_something_waiting(waiting: float, is_stuck: bool) -> None:
    assert stuck_partitions(one_moves(120), POLICY, {P0: 0.0, P1: waiting}) == ({P1} if is_stuck else set())


@pytest.mark.parametrize("group", [
    Unknown("no coordinator"), replace(STABLE, state="PreparingRebalance"), replace(STABLE, members=())])
def test_without_a_live_member_nothing_is_stuck(group: Group | Unknown) -> None:
    assert stuck_partitions(one_moves(120, group), POLICY, LAG) == set()


def test_a_partition_without_lag_at_the_last_look_is_not_stuck() -> None:
    assert stuck_partitions(history(*(seen(at, (100, 100)) for at in range(0, 400, 5))), POLICY, LAG) == set()


def test_three_of_the_users_polls_pass_before_a_partition_is_stuck() -> None:
    rare = replace(POLICY, polling_interval_seconds=60)
    assert stuck_partitions(one_moves(175), rare, LAG) == set()
    assert stuck_partitions(one_moves(180), rare, LAG) == {P1}


def test_without_a_commit_seen_three_rare_polls_pass_too() -> None:
    rare = replace(POLICY, polling_interval_seconds=200)
    still = [seen(at, (500, 100)) for at in (0, 200, 400, 600)]
    assert stuck_partitions(history(*still[:3]), rare, LAG) == set()
    assert stuck_partitions(history(*still), rare, LAG) == {P0}


def reading(*rows: tuple[float, Group | Unknown]) -> float | None:
    return uncommitted_seconds(history(*(seen(at, (9, None), (9, None), group=group) for at, group in rows)))


def test_who_never_commits_is_told_from_when_members_had_partitions() -> None:
    assert reading((100, Group("Empty")), (105, STABLE), (165, STABLE)) == 60.0
    assert reading((100, STABLE), (160, STABLE)) == 60.0


def test_without_members_or_without_their_partitions_nobody_reads() -> None:
    assert reading((100, STABLE), (160, Group("Empty"))) is None
    assert reading((100, STABLE), (160, replace(STABLE, members=(Member("m0"),)))) is None
    assert reading((100, STABLE), (160, Unknown("no coordinator"))) is None


def deleting(deleted: int, processed: int, margin: int) -> tuple[TopicPartition, float] | None:
    """120 s in which retention deleted and the group processed so many records/s, `margin` ahead of it."""
    first = Reading(900_000, 100_000 - processed * 120, 100_000 - margin - deleted * 120)
    last = Reading(900_000, 100_000, 100_000 - margin)
    return retention_risk(history(Snapshot(0.0, {P0: first}), Snapshot(120.0, {P0: last})), POLICY)


def test_one_record_a_second_is_deleted_too() -> None:
    assert deleting(1, 0, 500) == (P0, 500.0)
    assert deleting(1, 0, -500) == (P0, 0.0), "what was passed is lost"


def test_at_the_log_start_and_faster_than_retention_is_no_risk() -> None:
    assert deleting(100, 150, 0) is None
    assert deleting(100, 50, 0) == (P0, 0.0)


@pytest.mark.parametrize("before", [{}, {P0: Reading(900_000, Uncommitted(), 0)}])
def test_a_partition_without_a_commit_two_minutes_ago_is_not_judged(before: dict[TopicPartition, Reading]) -> None:
    found = history(Snapshot(0.0, before), Snapshot(60.0, {P0: Reading(900_000, 50_000, 10_000)}),
                    Snapshot(120.0, {P0: Reading(900_000, 50_000, 20_000)}))
    assert retention_risk(found, POLICY) is None


def owned(*owners: str | None) -> History:
    """A look every 15 s at a partition that lags: its owner, nobody (empty), or a rebalance that tells none (None).

    The other partition is committed at every look, so it takes 60 s to be stuck.
    """
    groups = [Group("PreparingRebalance", "range", (Member("a"),)) if name is None else
              Group("Stable", "range", (Member(name, frozenset({P0})),) if name else ()) for name in owners]
    return history(*(seen(15.0 * index, (500, 100), (10 * index + 100, 10 * index), group=group)
                     for index, group in enumerate(groups)))


@pytest.mark.parametrize(("owners", "kept"), [
    ("aaaaa", True), ("aaaa", False), ("baaaaa", True), ("aabaaa", False), (("a", None, None, "a", "a"), True),
    (("b", None, None, "a", "a", "a"), False), (("a", "", "a", "a", "a", "a"), False),
    (("a", "a", "a", "a", "a", None), True), (("a", "a", "a", "a", "a", ""), False),
    ((None, None, None, None, None, "a"), False),
])
def test_a_partition_was_kept_when_one_consumer_had_it_for_as_long_as_it_takes_to_be_stuck(
    owners: Sequence[str | None], kept: bool
) -> None:
    found = kept_partitions(owned(*owners), POLICY, frozenset({P0}))
    assert found == (frozenset({P0}) if kept else frozenset())
