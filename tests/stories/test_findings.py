"""What is found in which trouble, and nothing else: each row is one trouble and asserts every finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.findings import STORM_MEMBERS
from kafka_consumer_scaler.core.membership import unrest
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Details, Group, Reading, Replicas, Snapshot, TopicPartition, Unknown
from kafka_consumer_scaler.core.verdict import ConditionType
from tests.world import T0, Seen, World, blind, findings, minutes, moves, reasons, steps

POLICY = Policy(max_replicas=12)
LEARNED = Memory(capacity=Capacity(100.0, learned=True))
CALM = minutes(20)


def settled(rate: Callable[[float], float], **changes: object) -> World:
    """Four replicas that do 100 records/s each, after twenty calm minutes."""
    world = World(POLICY, rate, replicas=4, memory=LEARNED, **changes)  # type: ignore[arg-type]
    assert findings(world.run(CALM)) == set()
    return world


def churning(snapshot: Snapshot) -> Snapshot:
    """One member of the group is another at every third look."""
    assert isinstance(snapshot.group, Group)
    first, *others = snapshot.group.members
    renamed = replace(first, id=f"{first.id}-{int(snapshot.at // 45)}")
    return replace(snapshot, group=replace(snapshot.group, members=(renamed, *others)))


def held(snapshot: Snapshot) -> Snapshot:
    """A transaction is open on orders/0 since the calm, after 1,200 s of 25 a second: its last stable offset stands."""
    tp = TopicPartition("orders", 0)
    assert not isinstance(snapshot.partitions, Unknown)
    reading = snapshot.partitions[tp]
    assert isinstance(reading, Reading)
    held_back = replace(reading, end=30_000, committed=30_000)
    return replace(snapshot, partitions={**snapshot.partitions, tp: held_back},
                   details=Details(high_watermarks={tp: reading.end}))


def rebalancing(snapshot: Snapshot) -> Snapshot:
    assert isinstance(snapshot.group, Group)
    return replace(snapshot, group=replace(snapshot.group, state="PreparingRebalance"))


def flat(world: World) -> None:
    """Nothing is the matter."""


def spike(world: World) -> None:
    world.rate = steps((0, 300), (CALM, 900))


def flood(world: World) -> None:
    world.rate = steps((0, 300), (CALM, 3000))


def slow(world: World) -> None:
    world.capacity = steps((0, 100.0), (CALM, 40.0))


def slow_and_spike(world: World) -> None:
    slow(world)
    world.rate = steps((0, 300), (CALM, 500))


def nobody(world: World) -> None:
    world.joinable = 0


def one_lost(world: World) -> None:
    world.joinable = 2


def stuck(world: World) -> None:
    world.stuck = frozenset({7})


def hot(world: World) -> None:
    world.weights = [1.0] * 11 + [7.0]


def churn(world: World) -> None:
    world.spoil = churning


def crash_loop(world: World) -> None:
    churn(world)
    world.trouble = "1 of 4 pods in CrashLoopBackOff (exit code 1)"


def never_settles(world: World) -> None:
    world.spoil = rebalancing


def open_transaction(world: World) -> None:
    world.spoil = held


def downstream(world: World) -> None:
    world.downstream = 310.0
    world.rate = steps((0, 300), (CALM, 420))


def downstream_at_once(world: World) -> None:
    """So much more that the scale-up comes before anybody was seen busy."""
    world.downstream = 310.0
    world.rate = steps((0, 300), (CALM, 900))


def downstream_later(world: World) -> None:
    """More consumers do more, and not all that they promise; fewer would do less."""
    world.downstream = 700.0
    world.rate = steps((0, 300), (CALM, 900))


@dataclass(frozen=True)
class Trouble:
    """What happens after twenty calm minutes, and all that is found in the forty minutes after it."""

    happens: Callable[[World], None]
    found: set[Reason]


TROUBLES = [
    Trouble(flat, set()),
    Trouble(spike, {Reason.PRODUCER_SPIKE}),
    Trouble(flood, {Reason.PRODUCER_SPIKE, Reason.AT_PARTITION_LIMIT}),
    Trouble(slow, {Reason.SLOW_CONSUMERS}),
    Trouble(slow_and_spike, {Reason.SLOW_CONSUMERS, Reason.PRODUCER_SPIKE, Reason.AT_PARTITION_LIMIT}),
    Trouble(nobody, {Reason.NO_MEMBERS}),
    Trouble(one_lost, {Reason.REPLICAS_NOT_JOINING}),
    Trouble(stuck, {Reason.STUCK_PARTITION}),
    Trouble(hot, {Reason.HOT_PARTITION}),
    Trouble(churn, {Reason.REBALANCE_STORM}),
    Trouble(crash_loop, {Reason.REPLICAS_NOT_JOINING}),
    Trouble(never_settles, {Reason.REBALANCE_STORM}),
    Trouble(open_transaction, {Reason.HUNG_TRANSACTION}),
    Trouble(downstream, {Reason.INEFFECTIVE_SCALING}),
    Trouble(downstream_at_once, {Reason.INEFFECTIVE_SCALING, Reason.PRODUCER_SPIKE}),
    Trouble(downstream_later, {Reason.INEFFECTIVE_SCALING, Reason.PRODUCER_SPIKE}),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.happens.__name__)
def test_each_trouble_is_found_and_nothing_else(trouble: Trouble) -> None:
    world = settled(lambda _: 300.0)
    trouble.happens(world)
    rows = world.run(minutes(40))
    assert findings(rows) == trouble.found


def test_a_slow_down_that_comes_with_a_scale_up_is_not_withdrawn_for_long() -> None:
    """They become more and slower at once, before anybody was seen busy: from outside it looks like a bound downstream.

    12 of 45 records/s do what 6 of 100 can. 6 do half of it: within a minute all of them are back, and are called slow.
    """
    world = settled(lambda _: 300.0)
    world.capacity = steps((0, 100.0), (CALM, 45.0))
    world.rate = steps((0, 300), (CALM, 900))
    rows = world.run(minutes(20))
    changes = [(row.at, row.scaled_to) for row in rows if row.scaled_to is not None]
    assert [to for _, to in changes] == [12, 6, 12]
    assert changes[2][0] - changes[1][0] <= 60
    assert findings(rows[-1:]) == {Reason.SLOW_CONSUMERS, Reason.PRODUCER_SPIKE, Reason.AT_PARTITION_LIMIT}


def test_a_slow_down_that_is_seen_before_the_newcomers_join_is_not_withdrawn() -> None:
    world = settled(lambda _: 300.0)
    world.pod_start_seconds = 20.0
    world.capacity = steps((0, 100.0), (CALM, 45.0))
    world.rate = steps((0, 300), (CALM, 900))
    rows = world.run(minutes(20))
    assert moves(rows) == [(3, 12)]
    assert findings(rows) == {Reason.SLOW_CONSUMERS, Reason.PRODUCER_SPIKE, Reason.AT_PARTITION_LIMIT}


def test_a_bound_downstream_takes_back_to_as_many_as_can_do_as_much() -> None:
    """12 do 540 records/s, which 6 can do. The climb is tried again after ten minutes."""
    world = settled(lambda _: 300.0)
    world.downstream = 540.0
    world.rate = steps((0, 300), (CALM, 900))
    rows = world.run(minutes(20))
    assert moves(rows) == [(3, 12), (12, 6), (6, 12), (12, 6)]
    assert findings(rows) == {Reason.INEFFECTIVE_SCALING, Reason.PRODUCER_SPIKE}
    assert "12 replicas processed 540 records/s and, by what a consumer did before, 6 can do 600" in str(rows)


def test_the_sentence_of_a_scale_up_ends_with_its_cause() -> None:
    world = settled(lambda _: 300.0)
    spike(world)
    scaled = next(row.verdict for row in world.run(minutes(5)) if row.scaled_to is not None)
    assert scaled.announcement is not None
    assert scaled.message == scaled.announcement.message
    assert scaled.message.endswith(" old before help could come); ProducerSpike")


def test_a_crash_loop_on_an_idle_topic_is_told_before_its_first_record() -> None:
    world = World(POLICY, lambda _: 0.0, replicas=4, memory=LEARNED)
    assert findings(world.run(CALM)) == set()
    nobody(world)
    world.target = Replicas(4, 4, "4 of 4 pods in CrashLoopBackOff (exit code 1)")
    assert findings(world.run(minutes(2))) == {Reason.NO_MEMBERS}


def test_one_blind_poll_takes_no_bound_away() -> None:
    world = settled(lambda _: 300.0)
    flood(world)
    world.run(minutes(5))
    world.spoil = blind
    (row,) = world.run(15)
    limited = row.verdict.condition(ConditionType.SCALING_LIMITED)
    assert Reason.AT_PARTITION_LIMIT in findings([row])
    assert (limited.status, limited.reason) == (True, Reason.AT_PARTITION_LIMIT)
    assert " wanted and 12 allowed, 12 useful for the partitions: 3,000 records/s arrive, " in limited.message


BY_BACKLOG: dict[Callable[[World], None], Reason] = {
    spike: Reason.PRODUCER_SPIKE, flood: Reason.PRODUCER_SPIKE, slow: Reason.SLOW_CONSUMERS,
}
THREE_POLLS = 45.0


@pytest.mark.parametrize("happens", BY_BACKLOG, ids=lambda happens: happens.__name__)
def test_a_cause_is_named_within_three_polls_of_the_backlog(happens: Callable[[World], None]) -> None:
    world = settled(lambda _: 300.0)
    happens(world)
    rows = world.run(minutes(10))
    behind = next(row.at for row in rows if row.verdict.backlog != "CaughtUp")
    named = next(row.at for row in rows if BY_BACKLOG[happens] in findings([row]))
    assert named - behind <= THREE_POLLS


def test_a_finding_goes_a_minute_after_its_evidence_and_its_event_is_posted_once() -> None:
    world = settled(lambda _: 300.0)
    spike(world)
    rows = world.run(minutes(40))
    lasted = [row.at for row in rows if Reason.PRODUCER_SPIKE in findings([row])]
    assert [later - earlier for earlier, later in pairwise(lasted)] == [15.0] * (len(lasted) - 1)
    caught_up = next(row.at for row in rows if row.at > lasted[0] and row.verdict.backlog == "CaughtUp")
    assert lasted[-1] == caught_up - 15 + 60
    assert reasons(rows).count(Reason.PRODUCER_SPIKE) == 1


def test_what_was_found_stays_as_it_is_while_no_broker_answers() -> None:
    world = settled(lambda _: 300.0)
    hot(world)
    world.run(minutes(20))
    before = world.rows[-1].verdict.findings
    world.spoil = blind
    assert before
    assert {row.verdict.findings for row in world.run(minutes(10))} == {before}


def test_a_rolling_restart_is_no_rebalance_storm() -> None:
    world = settled(lambda _: 300.0)
    began = world.at

    def one_after_another(snapshot: Snapshot) -> Snapshot:
        assert isinstance(snapshot.group, Group)
        members = tuple(replace(member, id=f"{member.id}-new") if snapshot.at - began > 30 * number else member
                        for number, member in enumerate(snapshot.group.members))
        return replace(snapshot, group=replace(snapshot.group, members=members))

    world.spoil = one_after_another
    assert findings(world.run(minutes(20))) == set()


def test_a_rollout_of_members_that_have_just_come_is_no_rebalance_storm() -> None:
    """A second rollout five minutes after a first: all of its members came and went within ten minutes, once."""
    world = settled(lambda _: 300.0)
    began = world.at

    def one_after_another_twice(snapshot: Snapshot) -> Snapshot:
        assert isinstance(snapshot.group, Group)
        seconds = snapshot.at - began
        times = [sum(seconds > start + 30 * number for start in (0, 300)) for number in range(12)]
        members = tuple(replace(member, id=member.id + times[number] * "-new")
                        for number, member in enumerate(snapshot.group.members))
        return replace(snapshot, group=replace(snapshot.group, members=members))

    world.spoil = one_after_another_twice
    rows = world.run(minutes(9))
    assert unrest(world.history).left >= STORM_MEMBERS
    assert findings([*rows, *world.run(minutes(11))]) == set()


def test_offsets_of_a_group_at_zero_are_said_to_expire_a_day_ahead() -> None:
    policy = replace(POLICY, min_replicas=0, polling_interval_seconds=900)
    world = World(policy, steps((0, 10), (1800, 0)), replicas=1, memory=LEARNED)
    day = minutes(24 * 60)
    world.run(minutes(60))
    rows: list[Seen] = []
    while not findings(rows[-1:]):
        assert world.at < T0 + 7 * day
        world.pause_polls(minutes(600) - 900)
        rows += world.run(900)
    left = T0 + minutes(30) + 7 * day - world.at
    assert findings(rows) == {Reason.OFFSETS_EXPIRING}
    assert 0 < left <= day + minutes(60)
    assert reasons(rows).count(Reason.OFFSETS_EXPIRING) == 1
