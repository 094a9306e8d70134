"""Stories of the default policy: no record waits longer than a minute, with the fewest replicas and moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from tests.world import Seen, World, downs, findings, minutes, moves, reasons, steps, ups

POLICY = Policy(max_replicas=12)
"""60 s, polls every 15 s."""


def oldest(rows: list[Seen]) -> float:
    return max(row.age for row in rows)


def settled(rate: float, replicas: int, **changes: object) -> World:
    """Half an hour of one rate, with a capacity that was learned before."""
    known = changes.get("capacity", 100.0)
    assert isinstance(known, float)
    memory = Memory(capacity=Capacity(known, learned=True))
    world = World(POLICY, lambda at: rate, replicas=replicas, memory=memory, **changes)  # type: ignore[arg-type]
    world.run(minutes(30))
    return world


def last_capacity(world: World) -> float:
    assert world.memory.capacity is not None
    return world.memory.capacity.per_consumer


def test_a_fivefold_step_is_answered_by_one_move_within_the_objective() -> None:
    world = World(POLICY, steps((0, 90), (300, 450)))
    rows = world.run(minutes(10))
    assert moves(rows) == [(1, 6)]
    assert oldest(rows) < 60


def test_a_fivefold_step_and_its_end_take_four_moves_at_most() -> None:
    world = settled(90, replicas=1)
    world.rate = steps((0, 90), (1900, 450), (2100, 90))
    rows = world.run(minutes(40))
    assert moves(rows)[0] == (1, 6)
    assert len(ups(rows)) == 1
    assert 1 <= len(downs(rows)) <= 3
    assert world.replicas == 1
    assert oldest(rows) < 60


def test_steady_load_ends_at_the_fewest_replicas_that_hold_it_and_is_silent() -> None:
    world = settled(390, replicas=12)
    assert world.replicas == 4
    rows = world.run(minutes(60))
    assert (moves(rows), reasons(rows)) == ([], [])
    assert oldest(rows) < 60


def test_one_step_less_is_tried_once_an_hour_at_most_and_within_the_objective() -> None:
    world = settled(350, replicas=4)
    rows = world.run(minutes(120))
    assert len(downs(rows)) <= 2, "3 would keep the objective for five minutes"
    assert oldest(rows) < 60


@pytest.mark.parametrize("replicas", [1, 4, 12])
def test_an_idle_group_comes_down_to_one_replica(replicas: int) -> None:
    world = World(POLICY, steps((0, 0)), replicas=replicas)
    rows = world.run(minutes(10))
    assert world.replicas == 1
    assert len(moves(rows)) <= 1, "one jump"


def test_lag_is_a_buffer_and_a_short_spike_moves_nothing() -> None:
    world = settled(150, replicas=2)
    world.rate = steps((0, 150), (1950, 400), (1965, 150))
    assert moves(world.run(minutes(8))) == []


def test_the_forecast_of_a_ramp_is_ahead_of_it() -> None:
    """From 60 records/s on, 1 more each second, for 800 s; half a minute allowed."""
    ramp = World(replace(POLICY, lag_seconds=30), lambda at: 60.0 + min(800.0, max(0.0, at - 600)), replicas=1)
    rows = ramp.run(minutes(30))
    assert oldest(rows) < 30
    assert len(ups(rows)) <= 5
    first = next(row for row in rows if row.scaled_to == 2)
    arrival = first.verdict.measurements.arrival
    assert not isinstance(arrival, Unknown)
    assert "120 records/s to be ready for" not in first.verdict.message
    assert float(first.verdict.message.split(" wanted (")[1].split(" records/s")[0].replace(",", "")) > arrival + 20


def test_consumers_that_slow_down_are_relearned_and_scaled_up_in_time() -> None:
    world = settled(350, replicas=4)
    assert last_capacity(world) == pytest.approx(100, rel=0.1)
    slow_from = 1900
    world.capacity = steps((0, 100), (slow_from, 40))
    rows = world.run(minutes(10))
    assert moves(rows) == [(4, 12)], "350 at 40 a consumer are 9, thus 12"
    assert last_capacity(world) == pytest.approx(40, rel=0.1)
    assert oldest(rows) < 60
    assert Reason.INEFFECTIVE_SCALING not in findings(rows)


def test_consumers_that_become_faster_again_are_relearned_by_probing() -> None:
    world = settled(350, replicas=6, capacity=75.0)
    assert world.replicas == 6
    world.capacity = 100.0
    world.run(minutes(60))
    assert world.replicas == 4


def test_a_bound_downstream_is_found_taken_back_and_tried_with_doubling_back_off() -> None:
    world = World(POLICY, lambda at: 500.0, replicas=4, downstream=300.0)
    rows = world.run(minutes(120))
    climbs = [row.at for row in rows if row.scaled_to is not None and row.scaled_to > row.before]
    returns = [row.at for row in rows if row.scaled_to is not None and row.scaled_to < row.before]
    assert moves(rows)[:2] == [(4, 12), (12, 4)]
    assert findings(rows) >= {Reason.INEFFECTIVE_SCALING}
    assert all(down - up < 180 for up, down in zip(climbs, returns, strict=True)), "a window after it has joined"
    waits = [later - earlier for earlier, later in zip(returns, climbs[1:], strict=False)]
    assert [round(wait / 600) for wait in waits] == [1, 2, 4]


def test_a_bound_downstream_that_goes_away_is_climbed_past_after_the_back_off() -> None:
    world = World(POLICY, lambda at: 500.0, replicas=4, downstream=300.0)
    world.run(minutes(8))
    assert world.replicas == 4
    world.downstream = None
    rows = world.run(minutes(30))
    assert world.replicas >= 6
    assert rows[-1].verdict.backlog is Backlog.CAUGHT_UP
    assert Reason.INEFFECTIVE_SCALING not in {finding.reason for finding in rows[-1].verdict.findings}


def test_a_slow_down_that_coincides_with_a_scale_up_is_not_withdrawn_for_long() -> None:
    world = settled(150, replicas=2)
    world.rate = steps((0, 150), (1900, 420))
    climbed = next(row.at for row in world.run(minutes(5)) if row.scaled_to is not None)
    again = settled(150, replicas=2)
    again.rate, again.capacity = world.rate, steps((0, 100), (climbed, 35))
    rows = again.run(minutes(20))
    assert again.replicas == 12
    below = [row for row in rows if row.at > climbed + 60 and row.before <= 2]
    assert len(below) * 15 <= 180, "three minutes at most, and not the ten of a back-off"


def test_a_hot_partition_is_told_and_asks_for_no_more() -> None:
    world = settled(350, replicas=4)
    world.rate, world.weights = lambda at: 300.0, [8.0] + [0.4] * 11
    rows = world.run(minutes(20))
    assert Reason.HOT_PARTITION in findings(rows)
    wanted = rows[-1].verdict.measurements.replicas_wanted
    assert wanted in (2, 3), "the other eleven partitions get 106 records/s, and the hot one lacks 94 in any case"


def test_a_hot_partition_is_no_reason_to_scale_up() -> None:
    world = settled(350, replicas=4)
    world.rate, world.weights = lambda at: 300.0, [8.0] + [0.4] * 11
    assert ups(world.run(minutes(20))) == []


def test_ten_partitions_never_run_on_six_to_nine_replicas() -> None:
    for rate in (300.0, 450.0, 620.0, 800.0):
        world = World(Policy(max_replicas=10), lambda at, rate=rate: rate, partitions=10, replicas=2)  # type: ignore[misc]
        rows = world.run(minutes(20))
        assert {after for _, after in moves(rows)} <= {1, 2, 3, 4, 5, 10}


def test_an_idle_groups_rate_is_not_its_capacity() -> None:
    world = World(POLICY, lambda at: 30.0, replicas=3)
    world.run(minutes(60))
    assert world.replicas == 1
    found = world.memory.capacity
    assert found is None or not found.learned
    assert ups(world.rows) == []


def test_zero_only_when_nothing_came_for_a_window_and_back_with_the_first_record() -> None:
    policy = replace(POLICY, min_replicas=0)
    world = World(policy, steps((0, 50), (600, 0), (1800, 1)))
    rows = world.run(minutes(32))
    to_zero = next(row.at for row in rows if row.scaled_to == 0)
    assert 900 <= to_zero <= 990, "a window of 300 s, and up to 60 s until the rate is 0"
    assert moves(rows)[-1] == (0, 1)
    assert 1800 < next(row.at for row in rows if row.before == 0 and row.scaled_to) <= 1830


def test_a_trickle_keeps_one_replica() -> None:
    world = World(replace(POLICY, min_replicas=0), lambda at: 1 / 45, partitions=1)
    world.run(minutes(5))
    assert moves(world.run(minutes(30))) == []


def test_a_restart_keeps_what_was_learned() -> None:
    world = settled(350, replicas=4)
    capacity, peak = world.memory.capacity, world.memory.peak_arrival(POLICY, world.at)
    world.restart()
    rows = world.run(minutes(10))
    assert moves(rows) == []
    assert world.memory.capacity == capacity
    assert peak == pytest.approx(350, rel=0.1)


def test_a_restart_in_the_middle_of_a_spike_takes_nothing_away() -> None:
    world = settled(90, replicas=1)
    world.rate = steps((0, 90), (1900, 450))
    world.run(minutes(4))
    at_least = world.replicas
    assert at_least >= 4
    world.restart()
    assert downs(world.run(minutes(5))) == []


def test_a_restart_keeps_the_back_off_of_an_ineffective_scale_up() -> None:
    world = World(POLICY, lambda at: 500.0, replicas=4, downstream=300.0)
    world.run(minutes(4))
    assert world.memory.ineffective is not None
    world.restart()
    assert ups(world.run(minutes(8))) == []


def test_capacity_that_was_only_a_guess_is_replaced_by_what_busy_consumers_do() -> None:
    world = World(POLICY, lambda at: 350.0)
    world.memory = replace(world.memory, capacity=Capacity(20.0, learned=False))
    world.run(minutes(10))
    assert last_capacity(world) == pytest.approx(100, rel=0.1)
