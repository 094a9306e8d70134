"""One run of a world under a policy, second by second, and what it left behind."""

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
    """A change of the replicas asked for."""

    at: float
    before: int
    after: int
    by_others: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """What a run left behind; arrays hold one value for each second, the n-th for the time from n to n + 1.

    Args:
        world: the world.
        age: true age of the oldest record that consumers can help, at the end of the second; seconds.
        lag: those records.
        replicas: replicas asked for during the second.
        ready: pods ready at the end of the second.
        rebalancing: share of the partitions that stood still in a rebalance.
        changes: every change of the replicas asked for.
        verdicts: (at, verdict) of each poll; empty for other policies than ours.
        lost: records that retention had deleted by then before they were processed.
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
        """Records that retention deleted before they were processed."""
        return float(self.lost[-1])

    @property
    def seconds_over(self) -> int:
        """Seconds at whose end the age was over the objective."""
        return int(np.count_nonzero(self.age > self.world.policy.lag_seconds))

    @property
    def ours(self) -> tuple[Change, ...]:
        """The changes that the scaler made."""
        return tuple(change for change in self.changes if not change.by_others)

    def findings(self, since: float = 0.0) -> frozenset[str]:
        """The names of all findings that were reported from `since` on."""
        return frozenset(str(each.reason) for at, verdict in self.verdicts if at >= since for each in verdict.findings)


def play(world: World, scaler: Scaler | None = None, watch: Callable[[WildPlant], None] | None = None) -> Played:
    """Let `scaler` (ours by default) poll the world until its arrivals end; `watch` is called after each second."""
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
