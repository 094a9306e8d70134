"""Simulate a world with a scaler, second by second, and record the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.scaler import Scaler
from kafka_consumer_scaler.simulation.wild.plant import WildPlant
from kafka_consumer_scaler.simulation.wild.world import World


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the requested replicas."""

    at: float
    before: int
    after: int
    by_others: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """The record of a run; arrays hold one value per second, the n-th for the time from n to n + 1.

    Args:
        world: the simulated world.
        age: true age of the oldest record that consumers can process, at the end of the second, in seconds.
        lag: number of unprocessed records that consumers can process.
        replicas: requested replicas during the second.
        ready: ready pods at the end of the second.
        rebalancing: share of the partitions that are paused by a rebalance, 0 to 1.
        changes: every change of the requested replicas.
        verdicts: (at, verdict) of each poll; empty for other scalers than the operator.
        lost: records deleted by retention before they were processed, cumulative.
    """

    world: World
    age: NDArray[np.float64]
    lag: NDArray[np.float64]
    replicas: NDArray[np.int64]
    ready: NDArray[np.int64]
    rebalancing: NDArray[np.float64]
    changes: tuple[Change, ...]
    verdicts: tuple[tuple[float, Verdict], ...]
    lost: NDArray[np.float64]

    @property
    def records_lost(self) -> float:
        """Records deleted by retention before they were processed."""
        return float(self.lost[-1])

    @property
    def seconds_over(self) -> int:
        """Number of seconds that end with an age over the objective."""
        return int(np.count_nonzero(self.age > self.world.policy.lag_seconds))

    @property
    def ours(self) -> tuple[Change, ...]:
        """The changes made by the scaler."""
        return tuple(change for change in self.changes if not change.by_others)

    def findings(self, since: float = 0.0) -> frozenset[str]:
        """The names of all findings reported from `since` on."""
        return frozenset(str(each.reason) for at, verdict in self.verdicts if at >= since for each in verdict.findings)


def play(world: World, scaler: Scaler | None = None, watch: Callable[[WildPlant], None] | None = None) -> Played:
    """Simulate the whole world with `scaler` (default: the operator); `watch` is called every second."""
    scaler = scaler or KafkaConsumerScaler(world.policy)
    plant = WildPlant(world)
    rows: list[tuple[float, float, int, int, float, float]] = []
    changes: list[Change] = []
    for second in range(1, world.seconds + 1):
        asked, by_others = plant.replicas_spec, plant.written_by_others
        plant.step()
        if plant.written_by_others > by_others:
            changes.append(Change(plant.at, asked, plant.replicas_spec, by_others=True))
        rows.append((plant.lag_seconds, plant.lag_records, plant.replicas_spec, plant.ready, plant.rebalancing,
                     plant.records_lost))
        if second // scaler.interval_seconds > (second - 1) // scaler.interval_seconds:
            changes += _polled(plant, scaler)
        if watch is not None:
            watch(plant)
    age, lag, replicas, ready, rebalancing, lost = zip(*rows, strict=True)
    return Played(
        world, np.array(age), np.array(lag), np.array(replicas), np.array(ready), np.array(rebalancing),
        tuple(changes), tuple(scaler.verdicts) if isinstance(scaler, KafkaConsumerScaler) else (), np.array(lost))


def _polled(plant: WildPlant, scaler: Scaler) -> list[Change]:
    wanted = scaler.look(plant.observe())
    if wanted is None or wanted == plant.replicas_spec:
        return []
    before = plant.replicas_spec
    plant.scale(wanted)
    return [Change(plant.at, before, wanted)]
