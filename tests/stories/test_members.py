"""Consumers that leave, crash or never come: more of them would crash, too."""

from __future__ import annotations

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.memory import Memory, Trial
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from tests.world import World, minutes, moves

POLICY = Policy(max_replicas=12)
LEARNED = Memory(capacity=Capacity(100.0, learned=True))


def findings(world: World) -> set[Reason]:
    return {finding.reason for row in world.rows for finding in row.verdict.findings}


def test_a_group_whose_consumers_all_crash_is_not_scaled_up() -> None:
    world = World(POLICY, lambda at: 350.0, replicas=4, memory=LEARNED)
    world.run(minutes(10))
    world.joinable = 0
    assert moves(world.run(minutes(30))) == []
    assert Reason.NO_MEMBERS in findings(world)


def test_consumers_that_come_back_are_scaled_by_what_they_left_behind() -> None:
    world = World(POLICY, lambda at: 350.0, replicas=4, memory=LEARNED)
    world.run(minutes(10))
    world.joinable = 0
    world.run(minutes(5))
    world.joinable = None
    ups = [after for before, after in moves(world.run(minutes(20))) if after > before]
    assert ups == [12], "five minutes of backlog, at once"


def test_a_member_that_is_lost_holds_a_scale_up_for_ten_minutes_and_is_told() -> None:
    world = World(POLICY, lambda at: 350.0, replicas=4, memory=LEARNED)
    world.run(minutes(10))
    world.joinable = 2
    rows = world.run(minutes(30))
    first = next(row.at for row in rows if row.scaled_to is not None)
    assert first - minutes(10) >= minutes(10)
    assert Reason.REPLICAS_NOT_JOINING in findings(world)


def test_a_memory_that_makes_no_sense_does_no_harm() -> None:
    """Someone wrote into the status: a capacity of nearly nothing, and a trial that began at 0 replicas."""
    nonsense = Memory(capacity=Capacity(5e-324, learned=True), trial=Trial(0.0, 0, 4, 0.0, joined_at=0.0))
    world = World(POLICY, lambda at: 800.0, replicas=4, memory=nonsense)
    world.run(minutes(10))
    assert world.replicas <= 12
