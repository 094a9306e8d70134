"""Loads with a bound that no number of replicas lifts: what is left is to slow the producers down.

Each follows from its name and seed alone. Twelve partitions on three brokers, twelve consumers of 100 records/s at
most, so 1,200 records/s at best; records of 100 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from kafka_consumer_scaler.core.policy import Policy, ProducerQuota
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.workload import SECONDS, Dice, Levels, Workload, fitting, noisy

MAX_REPLICAS = 12
RECORD_BYTES = 100.0
FLOOR_BYTES = 12_000
"""A tenth of what twelve consumers do."""
HOT_TIMES = 5.0


@dataclass(frozen=True, slots=True)
class Overload:
    """A load, and the records/s of the whole group that are sustained at best, spread as they are asked for."""

    load: Workload
    sustained: float


def policy_of(with_loop: bool) -> Policy:
    """The default resource with `maxReplicas: 12`, with the producers' quota or without."""
    quotas = (ProducerQuota(FLOOR_BYTES, client_id="shop"),) if with_loop else ()
    return Policy(max_replicas=MAX_REPLICAS, quotas=quotas)


def steady_overload(seed: int) -> Overload:
    """From 300..500 records/s at 5..10 min to twice what twelve consumers do, for the rest of the hour."""
    dice = _dice("steady-overload", seed)
    levels = _flat(dice.uniform(300, 500))
    levels[dice.integers(300, 600):] = 2400
    return Overload(_load("steady-overload", seed, noisy(dice, levels)), 1200)


def hot_overload(seed: int) -> Overload:
    """One of twelve partitions gets 5/16 of all, from 5..10 min on 1.5 to 2 times what its consumer does."""
    dice = _dice("hot-overload", seed)
    hot, share = int(dice.integers(12)), HOT_TIMES / (HOT_TIMES + 11)
    levels = _flat(dice.uniform(120, 200))
    levels[dice.integers(300, 600):] = dice.uniform(1.5, 2) * 100 / share
    weights = tuple(HOT_TIMES if partition == hot else 1.0 for partition in range(12))
    return Overload(_load("hot-overload", seed, noisy(dice, levels), PlantSpec(weights=weights)), 100 / share)


def bound_downstream(seed: int) -> Overload:
    """From 150..300 records/s at 10..15 min to 800..1,100, of which a shared downstream takes 50..70% and no more."""
    dice = _dice("bound-downstream", seed)
    levels, peak = _flat(dice.uniform(150, 300)), dice.uniform(800, 1100)
    levels[dice.integers(600, 900):] = peak
    limit = peak * dice.uniform(0.5, 0.7)
    return Overload(_load("bound-downstream", seed, noisy(dice, levels), PlantSpec(downstream_limit=limit)), limit)


def flash_overload(seed: int) -> Overload:
    """From 60..100 records/s within 30 s to 2,400..3,600, 5..10 min of it, then falling back over 5 min."""
    dice = _dice("flash-overload", seed)
    base, peak, start = dice.uniform(60, 100), dice.uniform(2400, 3600), float(dice.integers(600, 1200))
    lasts = float(dice.integers(300, 600))
    times = [start, start + 30, start + 30 + lasts, start + 330 + lasts]
    levels = np.interp(np.arange(SECONDS), times, [base, peak, peak, base])
    return Overload(_load("flash-overload", seed, noisy(dice, levels)), 1200)


def retention_overload(seed: int) -> Overload:
    """1.8 to 2 million records wait, 1,400..1,600 a second arrive, and retention deletes after 30 min."""
    dice = _dice("retention-overload", seed)
    levels = _flat(dice.uniform(1400, 1600))
    plant = PlantSpec(initial_lag=int(dice.integers(1_800_000, 2_000_000)), retention_seconds=1800)
    return Overload(_load("retention-overload", seed, noisy(dice, levels), plant), 1200)


OVERLOADS: Mapping[str, Callable[[int], Overload]] = {
    "steady-overload": steady_overload,
    "hot-overload": hot_overload,
    "bound-downstream": bound_downstream,
    "flash-overload": flash_overload,
    "retention-overload": retention_overload,
}
"""All by name."""


def _dice(name: str, seed: int) -> Dice:
    return np.random.Generator(np.random.PCG64((seed, *name.encode())))


def _flat(level: float) -> Levels:
    return np.full(SECONDS, level)


def _load(name: str, seed: int, levels: Levels, plant: PlantSpec | None = None) -> Workload:
    plant = plant or PlantSpec()
    arrival = tuple(round(level, 3) for level in levels.tolist())
    return Workload(name, seed, arrival, replace(plant, initial_replicas=fitting(arrival[0], plant)))
