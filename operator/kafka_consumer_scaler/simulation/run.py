"""One run: a group, its arrivals and a policy, second by second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kafka_consumer_scaler.simulation.plant import Plant, PlantSpec
from kafka_consumer_scaler.simulation.scaler import Scaler


@dataclass(frozen=True, slots=True)
class Record:
    """What a run left behind: arrays hold one value for each second, the n-th for the time from n to n + 1.

    Args:
        arrival: records/s produced.
        lag_records: records not processed at the end of the second.
        lag_seconds: age of the oldest record not processed at the end of the second; 0 when there is none.
        replicas: replicas asked for during the second.
        ready: pods ready at the end of the second.
        rebalancing: share of the partitions that a rebalance kept still during the second, 0..1.
        records_lost: records that retention deleted before they were processed.
        scales: (at, before, after) of every change of the replicas asked for.
    """

    arrival: NDArray[np.float64]
    lag_records: NDArray[np.float64]
    lag_seconds: NDArray[np.float64]
    replicas: NDArray[np.int64]
    ready: NDArray[np.int64]
    rebalancing: NDArray[np.float64]
    records_lost: float
    scales: tuple[tuple[float, int, int], ...]


def run(plant_spec: PlantSpec, arrival: Sequence[float], scaler: Scaler, seed: int) -> Record:
    """Let `scaler` look at the group every `interval_seconds` until the arrivals end.

    The same arguments give the same record, if the scaler answers alike.
    """
    plant = Plant(plant_spec, arrival, seed)
    rows: list[tuple[float, float, int, int, float]] = []
    scales: list[tuple[float, int, int]] = []
    for second in range(1, len(arrival) + 1):
        plant.step()
        rows.append((plant.lag_records, plant.lag_seconds, plant.replicas_spec, plant.ready, plant.rebalancing))
        if second // scaler.interval_seconds > (second - 1) // scaler.interval_seconds:
            scales += _looked(plant, scaler)
    return _record(plant, arrival, rows, scales)


def _looked(plant: Plant, scaler: Scaler) -> list[tuple[float, int, int]]:
    """The scaler's look, and what changed by it."""
    wanted = scaler.look(plant.observe())
    if wanted is None or wanted == plant.replicas_spec:
        return []
    before = plant.replicas_spec
    plant.scale(wanted)
    return [(plant.at, before, wanted)]


def _record(plant: Plant, arrival: Sequence[float], rows: list[tuple[float, float, int, int, float]],
            scales: list[tuple[float, int, int]]) -> Record:
    lag_records, lag_seconds, replicas, ready, rebalancing = zip(*rows, strict=True) if rows else ((),) * 5
    return Record(
        arrival=np.array(arrival, dtype=np.float64),
        lag_records=np.array(lag_records, dtype=np.float64),
        lag_seconds=np.array(lag_seconds, dtype=np.float64),
        replicas=np.array(replicas, dtype=np.int64),
        ready=np.array(ready, dtype=np.int64),
        rebalancing=np.array(rebalancing, dtype=np.float64),
        records_lost=plant.records_lost,
        scales=tuple(scales),
    )
