"""Flink's autoscaler, moved to a group, against hand-computed figures."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from kafka_consumer_scaler.core.snapshot import Reading, Replicas, Snapshot, TopicPartition, Unknown
from kafka_consumer_scaler.simulation.flink import (
    PUBLISHED,
    SHRUNK,
    Evaluated,
    Flink,
    Options,
    aligned,
    capacity,
    is_outside,
)
from kafka_consumer_scaler.simulation.run import run
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.spec import PlantSpec

PARTITIONS = 12


@pytest.mark.parametrize(("target", "lag", "utilization", "with_restart", "rate"), [
    (700, 0, 0.7, False, 1000),      # 700 / 0.7
    (700, 0, 0.7, True, 1117),       # + 700 * 300 / 1800 = 116.67, rounded
    (700, 18_000, 0.7, False, 1010),  # + 18000 / 1800
    (700, 18_000, 1.0, False, 710),
    (700, 18_000, 0.4, True, 1877),  # 1750 + 116.67 + 10
    (0, 0, 0.7, True, 0),
    (700, 0, 0.0, True, inf),        # while a backlog is worked off nothing is too much
    (700, 0, 1.4, False, 700),       # more than the whole is the whole
])
def test_the_capacity_needed(target: float, lag: float, utilization: float, with_restart: bool, rate: float) -> None:
    evaluated = Evaluated(input_rate=target, target_rate=target, lag=lag, true_rate=1.0)
    assert capacity(evaluated, PUBLISHED, utilization, with_restart) == rate


@pytest.mark.parametrize(("true_rate", "lag", "outside"), [
    (699, 0, True),            # under 700 / 1.0
    (700, 0, False),
    (1866, 0, False),          # under 700 / 0.4 + 116.67 = 1866.67, rounded 1867
    (1868, 0, True),
    (1868, 220_000, False),    # 314 s of backlog: no upper edge
    (800, 220_000, True),      # under 700 + 122
])
def test_the_band_of_utilization(true_rate: float, lag: float, outside: bool) -> None:
    assert is_outside(Evaluated(700, 700, lag, true_rate), PUBLISHED) is outside


@pytest.mark.parametrize(("replicas", "factor", "partitions", "least", "most", "new"), [
    (3, 1.1, 12, 1, 12, 4),      # 3.3 -> 4, a divisor
    (4, 1.2, 12, 1, 12, 6),      # 5 -> 6
    (6, 1.1, 12, 1, 12, 12),     # 7 -> 12
    (6, 1.1, 12, 1, 10, 6),      # 7: no divisor up to 10, and the boundary below it is 6, which is no way up
    (12, 0.4, 12, 1, 12, 6),     # 4.8 -> 5 -> 6
    (6, 0.9, 12, 1, 12, 6),      # 5.4 -> 6: the present number
    (5, 0.7, 10, 1, 10, 5),      # 3.5 -> 4 -> 5: no divisor below, so it stays
    (2, 9.0, 12, 1, 12, 12),     # 18, bounded by the partitions
    (4, 0.1, 12, 3, 12, 3),      # bounded below
    (7, 1.0, 12, 1, 12, 7),      # nothing to change
    (2, 3.1, 11, 1, 10, 6),      # 7 of 11: no divisor up to 10, so down to the fewest with 11 // n = 1: 6
])
def test_replicas_are_aligned_to_the_partitions(
        replicas: int, factor: float, partitions: int, least: int, most: int, new: int) -> None:
    assert aligned(replicas, factor, partitions, least, most) == new


class Group:
    """A group of 12 partitions by hand: offsets move by given rates (records/s of the group)."""

    def __init__(self, scaler: Flink, replicas: int) -> None:
        self.scaler, self.replicas, self.at, self.ended, self.done = scaler, replicas, 0.0, 0.0, 0.0
        self.moves: list[tuple[float, int]] = []

    def go(self, seconds: float, arrival: float, capacity_each: float) -> Group:
        for _ in range(int(seconds / self.scaler.interval_seconds)):
            step = self.scaler.interval_seconds
            self.at, self.ended = self.at + step, self.ended + arrival * step
            self.done = min(self.ended, self.done + capacity_each * self.replicas * step)
            self._look()
        return self

    def _look(self) -> None:
        reading = Reading(int(self.ended / PARTITIONS), int(self.done / PARTITIONS))
        snapshot = Snapshot(self.at, {TopicPartition("orders", number): reading for number in range(PARTITIONS)})
        wanted = self.scaler.look(Observation(self.at, snapshot, Replicas(self.replicas, self.replicas), self.replicas))
        if wanted is not None:
            self.replicas = wanted
            self.moves.append((self.at, wanted))


FAST = replace(SHRUNK, scale_down_interval_seconds=120.0, catch_up_seconds=0.0)


def test_nothing_is_done_before_stabilization_and_window_are_over() -> None:
    """From the first look at 60 s: 300 s and the next 900 s are over at 1260 s; 300/s at 100/s a replica are busy."""
    group = Group(Flink(max_replicas=12), replicas=1).go(1600, arrival=300, capacity_each=100)
    assert group.moves[0][0] == 1260


def test_a_busy_group_is_sized_by_its_drain() -> None:
    """Drain 100/s at 1 replica, arrivals 300/s: 300 / 0.7 / 100 -> 4.3, so 5, so 6 of 12 partitions."""
    group = Group(Flink(1, 12, FAST), replicas=1).go(300, arrival=300, capacity_each=100)
    assert group.moves[0] == (105, 6)


def test_a_group_that_was_never_busy_is_left_alone() -> None:
    assert Group(Flink(1, 12, FAST), replicas=12).go(3600, arrival=50, capacity_each=100).moves == []


def test_a_scale_down_waits_for_its_interval_and_uses_the_rate_learned_when_busy() -> None:
    """100/s a consumer, learned at 1 replica; then 150/s: 150 / 0.7 / 100 -> 3, restart included.

    The most that was wanted within the interval holds, and its first windows still saw some of the 300/s: 4, then 3.
    """
    group = Group(Flink(1, 12, FAST), replicas=1).go(400, arrival=300, capacity_each=100)
    calm = group.at
    group.go(900, arrival=150, capacity_each=100)
    assert [replicas for _, replicas in group.moves] == [6, 4, 3]
    assert group.moves[1][0] >= calm + FAST.scale_down_interval_seconds


def test_at_most_sixty_per_cent_go_at_once_even_without_any_traffic() -> None:
    """No drain is an infinite rate: 12 * 0.4 = 4.8, so 5, so 6."""
    group = Group(Flink(1, 12, FAST), replicas=12).go(300, arrival=0, capacity_each=100)
    assert group.moves[0] == (225, 6)


@pytest.mark.parametrize(("blocks", "replicas"), [(True, 2), (False, 12)])
def test_a_scale_up_that_brought_nothing_blocks_the_next(blocks: bool, replicas: int) -> None:
    """The group drains 100/s however many replicas there are: 2 were to bring 100/s more and brought none."""
    options = replace(FAST, blocks_ineffective=blocks)
    group = Group(Flink(1, 12, options), replicas=1).go(105, arrival=130, capacity_each=100)
    assert group.moves == [(105, 2)]
    for _ in range(20):
        group.go(15, arrival=130, capacity_each=100 / group.replicas)
    assert group.replicas == replicas


def test_a_restart_drops_the_samples() -> None:
    scaler = Flink(1, 12, FAST)
    group = Group(scaler, replicas=1).go(90, arrival=300, capacity_each=100)
    starting = Observation(91.0, Snapshot(91.0, {}), Replicas(1, 1), ready=0)
    assert scaler.look(starting) is None
    assert group.go(105, arrival=300, capacity_each=100).moves == [(195, 6)]


def test_zero_replicas_are_brought_to_one_and_the_unknown_changes_nothing() -> None:
    unknown = Snapshot(0.0, Unknown("no broker"))
    assert Flink().look(Observation(0.0, unknown, Replicas(0, 0), 0)) == 1
    assert Flink().look(Observation(0.0, unknown, Replicas(3, 3), 3)) is None


def test_the_published_defaults() -> None:
    assert Flink().options == Options() == PUBLISHED
    assert (PUBLISHED.metrics_window_seconds, PUBLISHED.scale_down_interval_seconds) == (900, 3600)
    assert (PUBLISHED.utilization_min, PUBLISHED.utilization, PUBLISHED.utilization_max) == (0.4, 0.7, 1.0)
    assert Flink.shrunk().interval_seconds == 15


def test_shrunk_windows_meet_a_step_on_the_plant_sooner() -> None:
    arrival = [100.0] * 600 + [500.0] * 1200
    slow, fast = (run(PlantSpec(initial_replicas=2), arrival, scaler, seed=1).lag_seconds.max()
                  for scaler in (Flink(1, 12), Flink.shrunk(1, 12)))
    assert fast < slow / 2
