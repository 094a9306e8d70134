"""Small groups that simulator tests build on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kafka_consumer_scaler.core.snapshot import Group, Reading
from kafka_consumer_scaler.simulation.plant import Plant, PlantSpec
from kafka_consumer_scaler.simulation.scaler import Observation

ONE = PlantSpec(partitions=1, capacity=100.0)
"""One partition and one consumer of 100 records/s."""
FOUR = PlantSpec(partitions=4, capacity=100.0)


def plant(spec: PlantSpec, arrival: Sequence[float] | float, seconds: int = 600, seed: int = 1,
          **changes: object) -> Plant:
    """A group, `spec` with `changes`, under arrivals of one level or of a level for each second."""
    levels = arrival if isinstance(arrival, Sequence) else [arrival] * seconds
    return Plant(replace(spec, **changes), levels, seed)  # type: ignore[arg-type]


def advance(group: Plant, seconds: int) -> Plant:
    for _ in range(seconds):
        group.step()
    return group


def seen(group: Plant) -> Observation:
    return group.observe()


def seen_group(group: Plant) -> Group:
    described = seen(group).snapshot.group
    assert isinstance(described, Group)
    return described


def readings(group: Plant) -> list[Reading]:
    partitions = seen(group).snapshot.partitions
    assert not hasattr(partitions, "why")
    return [reading for reading in partitions.values() if isinstance(reading, Reading)]


def committed(group: Plant) -> int:
    return sum(reading.committed for reading in readings(group) if isinstance(reading.committed, int))


def arrived(group: Plant, arrival: Sequence[float]) -> float:
    return sum(arrival[:int(group.at)]) + group.spec.initial_lag
