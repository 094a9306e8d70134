"""What is taken out before a group is judged, and what is remembered of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Commits, Memory, Scaled, Unread
from kafka_consumer_scaler.core.observe import COMMITS_KEPT_SECONDS, UNREAD_KEPT_SECONDS, observe
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, Member, Reading, Replicas, Snapshot, TopicPartition, Unknown
from tests.core.making import history

POLICY = Policy(max_replicas=12)
ORDERS, LEGACY = (tuple(TopicPartition(topic, n) for n in range(2)) for topic in ("orders", "legacy"))
SECONDS = range(0, 91, 15)


def polls(held: tuple[TopicPartition, ...], state: str = "Stable", legacy_moves: bool = False) -> list[Snapshot]:
    """`orders` is processed, `legacy` has 500 records behind; one member holds some of the four partitions."""
    group = Group(state, "range", (Member("m0", frozenset(held)),) if held else ())
    return [
        Snapshot(at, {tp: Reading(1000 + at, 1000 + at) for tp in ORDERS}
                 | {tp: Reading(1000, 500 + at * legacy_moves) for tp in LEGACY}, group)
        for at in SECONDS]


def watched(held: tuple[TopicPartition, ...], state: str = "Stable", legacy_moves: bool = False) -> History:
    return history(*polls(held, state, legacy_moves))


def seen(found: History, replicas: int = 1, memory: Memory | None = None, after: float = 0.0) -> Situation:
    situation = observe(POLICY, found, Replicas(replicas, replicas), memory or Memory(), SECONDS[-1] + after)
    assert isinstance(situation, Situation)
    return situation


def test_partitions_that_nobody_holds_count_for_nothing() -> None:
    found = seen(watched(ORDERS))
    assert dict(found.unread) == dict.fromkeys(LEGACY, 90.0)
    assert set(found.lag) == set(ORDERS)
    assert found.spread.useful_replicas == 2
    assert found.memory.unread == Unread(("legacy",), 90)


@pytest.mark.parametrize("found", [
    watched((*ORDERS, *LEGACY)), watched(()), watched(ORDERS, state="PreparingRebalance"),
    watched(ORDERS, state="Reconciling"), watched(ORDERS, legacy_moves=True),
])
def test_partitions_that_are_held_or_committed_or_move_in_a_rebalance_are_read(found: History) -> None:
    assert dict(seen(found).unread) == {}


def test_a_topic_of_which_a_part_is_read_is_not_remembered_as_unread() -> None:
    group = Group("Stable", "range", (Member("m0", frozenset({ORDERS[0]})),))
    added = {tp: Reading(1000, 500) for tp in (ORDERS[1], *LEGACY)}
    found = seen(history(*(Snapshot(at, {ORDERS[0]: Reading(1000 + at, 1000 + at), **added}, group) for at in SECONDS)))
    assert set(found.unread) == {ORDERS[1], *LEGACY}
    assert found.memory.unread == Unread(("legacy",), 90), "records on orders have to wake the group from zero"


def test_without_replicas_what_was_unread_counts_for_nothing_for_some_hours() -> None:
    memory = Memory(unread=Unread(("legacy",), 90.0))
    assert set(seen(watched(()), 0, memory).lag) == set(ORDERS)
    assert set(seen(watched(()), 0, memory, UNREAD_KEPT_SECONDS).lag) == set(ORDERS)
    assert set(seen(watched(()), 0, memory, UNREAD_KEPT_SECONDS + 1).lag) == {*ORDERS, *LEGACY}
    assert set(seen(watched(()), 0).lag) == {*ORDERS, *LEGACY}


def test_without_replicas_a_group_of_nothing_but_unread_topics_can_be_woken() -> None:
    memory = Memory(unread=Unread(("legacy", "orders"), 90.0))
    assert set(seen(watched(()), 0, memory).lag) == {*ORDERS, *LEGACY}


@pytest.mark.parametrize(("added_at", "unread"), [(0, set(LEGACY)), (180, set())])
def test_while_replicas_are_missing_only_what_was_unread_before_counts_for_nothing(
    added_at: int, unread: set[TopicPartition]
) -> None:
    """A replica was asked for at 200 s and does not exist yet; partitions that came after may wait for it."""
    group = Group("Stable", "range", (Member("m0", frozenset(ORDERS)),))
    found = history(*(
        Snapshot(at, {tp: Reading(at, at) for tp in ORDERS}
                 | {tp: Reading(1000, 500) for tp in LEGACY if at >= added_at}, group)
        for at in range(0, 271, 15)))
    situation = observe(POLICY, found, Replicas(2, 1), Memory(scales=(Scaled(200.0, 1, 2),)), 270.0)
    assert isinstance(situation, Situation)
    assert set(situation.unread) == unread


def test_a_group_without_members_whose_commits_go_on_has_members_that_cannot_be_seen() -> None:
    group = seen(watched(())).group
    assert isinstance(group, Unknown)
    assert group.reason is Reason.MEMBERS_UNSEEN


def test_a_single_commit_without_members_may_be_a_reset() -> None:
    once = history(*(Snapshot(at, {ORDERS[0]: Reading(1000, 900 + 50 * (at >= 45))}, Group("Empty")) for at in SECONDS))
    assert seen(once).group == Group("Empty")


def test_more_replicas_than_asked_for_are_remembered_by_their_beginning() -> None:
    uneven = observe(POLICY, watched(ORDERS), Replicas(1, 2), Memory(uneven_since=30.0), 90.0)
    assert isinstance(uneven, Situation)
    assert uneven.memory.uneven_since == 30.0
    assert seen(watched(ORDERS), memory=Memory(uneven_since=30.0)).memory.uneven_since is None


def test_a_group_most_of_which_stands_still_is_not_caught_up() -> None:
    """All four partitions are held and have not moved for ten minutes, with records that arrive."""
    group = Group("Stable", "range", (Member("m0", frozenset((*ORDERS, *LEGACY))),))
    still = history(*(Snapshot(at, {tp: Reading(1000 + at, 500) for tp in (*ORDERS, *LEGACY)}, group)
                      for at in range(0, 601, 15)))
    found = observe(replace(POLICY, lag_seconds=60), still, Replicas(2, 2), Memory(), 600.0)
    assert isinstance(found, Situation)
    assert str(found.backlog) != "CaughtUp"


def with_new_owners() -> History:
    """A rebalance gave both partitions to another member, and nothing was committed since."""
    old, new = (Group("Stable", "range", (Member(name, frozenset(ORDERS)),)) for name in ("m0", "m1"))
    return history(*(Snapshot(at, {tp: Reading(1000 + at, 1000) for tp in ORDERS}, old if at < 45 else new)
                     for at in SECONDS))


def test_a_measured_commit_interval_outlives_a_rebalance_and_is_forgotten_after_an_hour() -> None:
    assert seen(watched(ORDERS)).memory.commits == Commits(5.0, 90.0)
    known = Memory(commits=Commits(300.0, 0.0))
    assert seen(with_new_owners(), memory=known).commit_interval == 300.0
    assert seen(with_new_owners(), memory=known).memory.commits == known.commits, "it was not measured again"
    old = Memory(commits=Commits(300.0, SECONDS[-1] - COMMITS_KEPT_SECONDS - 1))
    assert seen(with_new_owners(), memory=old).memory.commits is None


def test_a_rare_commit_interval_is_remembered_for_four_of_them() -> None:
    for age, is_kept in ((4800, True), (4801, False)):
        memory = Memory(commits=Commits(1200.0, SECONDS[-1] - age))
        assert (seen(with_new_owners(), memory=memory).memory.commits is not None) is is_kept


def idle_for(seconds: int, arrived: int = 0) -> History:
    """Consumers that assign partitions themselves commit for a minute, and then nothing arrives; at last some does."""
    def reading(at: int) -> Reading:
        return Reading(1000 + min(at, 60) + arrived * (at > seconds), 1000 + min(at, 60))

    polls = range(0, seconds + (241 if arrived else 1), 15)
    return history(*(Snapshot(at, {tp: reading(at) for tp in ORDERS}, Group("Empty")) for at in polls))


def observed(found: History, memory: Memory) -> Situation:
    at = found.samples[-1].at
    situation = observe(POLICY, found, Replicas(2, 2), memory, at)
    assert isinstance(situation, Situation)
    return situation


def test_consumers_that_cannot_be_seen_and_have_nothing_to_do_are_no_empty_group() -> None:
    night = idle_for(1500)
    assert isinstance(observed(night, Memory(unseen_at=60.0)).group, Unknown)
    assert observed(night, Memory()).group == Group("Empty"), "nobody was ever seen to work"


def test_records_that_wait_for_three_minutes_show_that_nobody_works() -> None:
    assert observed(idle_for(1500, arrived=500), Memory(unseen_at=60.0)).group == Group("Empty")
    changed = Memory(unseen_at=60.0).with_scaled(4, 2, 1500.0)
    assert isinstance(observed(idle_for(1500, arrived=500), changed).group, Unknown), "a change may pause them for long"


def test_members_that_are_seen_end_what_was_known_of_others() -> None:
    assert seen(watched(ORDERS), memory=Memory(unseen_at=30.0)).memory.unseen_at is None
    assert seen(watched(())).memory.unseen_at == SECONDS[-1]


@pytest.mark.parametrize(("commit_at", "is_unseen"), [(0, False), (15, True)])
def test_a_commit_without_a_member_is_no_farewell(commit_at: int, is_unseen: bool) -> None:
    """Members leave before 0 s; the commit that the first sample without one shows is theirs."""
    group = Group("Stable", "range", (Member("m0", frozenset(ORDERS)),))
    found = history(*(Snapshot(at, {tp: Reading(1000, 900 + 50 * (at >= commit_at)) for tp in ORDERS},
                               group if at < 0 else Group("Empty")) for at in range(-15, 46, 15)))
    assert observed(found, Memory()).commits_unseen is is_unseen
