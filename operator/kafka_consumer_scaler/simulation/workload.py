"""Workloads to judge policies on: families of synthetic ones, and traces from a file.

A workload follows from its family and seed alone. All but flash-sale stay within what twelve consumers of 100 records/s
on twelve partitions can hold; flash-sale may exceed it for the first minutes of the sale, and one partition of
hot-partition may be more than its consumer can hold. A run starts with the replicas that its first second needs.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kafka_consumer_scaler.simulation.spec import PlantSpec

SECONDS = 3600
TRACE_SECONDS_MAX = 31 * 86_400
COLUMNS = ["seconds", "records_per_second"]
Levels = NDArray[np.float64]
Dice = np.random.Generator


@dataclass(frozen=True, slots=True)
class Workload:
    """Arrivals in records/s for each second, the group they meet, and the fewest replicas that make sense."""

    name: str
    seed: int
    arrival: tuple[float, ...]
    plant: PlantSpec
    min_replicas: int = 1


def steady(seed: int) -> Workload:
    """A level of 150..900 records/s with 5% of noise."""
    dice = _dice("steady", seed)
    return _workload("steady", seed, noisy(dice, _flat(dice.uniform(150, 900)), 0.05))


def step(seed: int) -> Workload:
    """From 80..150 records/s up 3..8 times (to 1,000 at most) at 10..20 min, down again 15..25 min later."""
    dice = _dice("step", seed)
    levels = _flat(dice.uniform(80, 150))
    start, lasts = dice.integers(600, 1200), dice.integers(900, 1500)
    levels[start:start + lasts] = np.minimum(1000, levels[0] * dice.uniform(3, 8))
    return _workload("step", seed, noisy(dice, levels))


def ramp(seed: int) -> Workload:
    """From 80..200 records/s evenly to 600..1,000 in 10..30 min, there for 0..3 min, down again in 10..30 min."""
    dice = _dice("ramp", seed)
    base, peak = dice.uniform(80, 200), dice.uniform(600, 1000)
    up_at = dice.uniform(60, 240)
    top_at = up_at + dice.uniform(600, 1800)
    down_at = top_at + dice.uniform(0, 180)
    flat_at = down_at + dice.uniform(600, min(1800, SECONDS - down_at))
    levels = np.interp(np.arange(SECONDS), [up_at, top_at, down_at, flat_at], [base, peak, peak, base])
    return _workload("ramp", seed, noisy(dice, levels))


def spike_train(seed: int) -> Workload:
    """On 80..200 records/s, spikes to 400..1,000 for 1..4 min, one every 5..15 min."""
    dice = _dice("spike-train", seed)
    levels = _flat(dice.uniform(80, 200))
    start = dice.integers(180, 600)
    while start < SECONDS:
        levels[start:start + dice.integers(60, 240)] = dice.uniform(400, 1000)
        start += dice.integers(300, 900)
    return _workload("spike-train", seed, noisy(dice, levels))


def diurnal(seed: int) -> Workload:
    """A day in an hour: a sinus of mean 350..500 records/s and amplitude 60..85% of it, with 8..15% of noise."""
    dice = _dice("diurnal", seed)
    phase = dice.uniform(0, 2 * math.pi)
    swing = dice.uniform(0.6, 0.85) * np.sin(2 * math.pi * np.arange(SECONDS) / SECONDS + phase)
    levels = dice.uniform(350, 500) * (1 + swing)
    return _workload("diurnal", seed, noisy(dice, levels, dice.uniform(0.08, 0.15)))


def slow_consumers(seed: int) -> Workload:
    """At 250..440 records/s the capacity of all consumers falls by 30..60% at 15..25 min for 15..25 min."""
    dice = _dice("slow-consumers", seed)
    levels = _flat(dice.uniform(250, 440))
    start = float(dice.integers(900, 1500))
    back = start + float(dice.integers(900, 1500))
    plant = PlantSpec(capacity_changes=((start, 1 - dice.uniform(0.3, 0.6)), (back, 1.0)))
    return _workload("slow-consumers", seed, noisy(dice, levels), plant)


def hot_partition(seed: int) -> Workload:
    """One partition has 3..6 times the others' arrivals, for 10..20 min 85..95% or 105..125% of what a consumer can."""
    dice = _dice("hot-partition", seed)
    times, hot = dice.uniform(3, 6), int(dice.integers(12))
    used = dice.uniform(0.85, 0.95) if dice.random() < 0.5 else dice.uniform(1.05, 1.25)
    peak = used * 100 * (times + 11) / times
    levels = _flat(peak * dice.uniform(0.4, 0.6))
    start = dice.integers(600, 1200)
    levels[start:start + dice.integers(600, 1200)] = peak
    weights = tuple(times if partition == hot else 1.0 for partition in range(12))
    return _workload("hot-partition", seed, noisy(dice, levels), PlantSpec(weights=weights))


def downstream_limit(seed: int) -> Workload:
    """From 150..300 records/s to 600..900 for 8..15 min, of which a shared downstream takes 60..85% and no more."""
    dice = _dice("downstream-limit", seed)
    levels, peak = _flat(dice.uniform(150, 300)), dice.uniform(600, 900)
    start = dice.integers(600, 1200)
    levels[start:start + dice.integers(480, 900)] = peak
    plant = PlantSpec(downstream_limit=peak * dice.uniform(0.6, 0.85))
    return _workload("downstream-limit", seed, noisy(dice, levels), plant)


def outage_burst(seed: int) -> Workload:
    """At 250..480 records/s, 2..5 min without consumers, or without arrivals, which then come in 0.9..2 times that."""
    dice = _dice("outage-burst", seed)
    levels = _flat(dice.uniform(250, 480))
    start, lasts = int(dice.integers(900, 1800)), int(dice.integers(120, 300))
    if dice.random() < 0.5:
        plant = PlantSpec(outages=((float(start), float(lasts)),))
        return _workload("outage-burst", seed, noisy(dice, levels), plant)
    release = round(lasts * dice.uniform(0.9, 2))
    levels[start + lasts:start + lasts + release] *= 1 + lasts / release
    levels[start:start + lasts] = 0
    return _workload("outage-burst", seed, noisy(dice, levels))


def flash_sale(seed: int) -> Workload:
    """From 35..70 records/s to 20 times that within 10 s, falling back over 3..10 min; 700..1,400 at the top."""
    dice = _dice("flash-sale", seed)
    base, start = dice.uniform(35, 70), dice.integers(600, 1500)
    decay_seconds = dice.uniform(180, 600) / 3
    since = np.arange(SECONDS) - start
    rise = np.clip(since / 10, 0, 1) * np.exp(-np.maximum(since - 10, 0) / decay_seconds)
    return _workload("flash-sale", seed, noisy(dice, base * (1 + 19 * rise)))


def replay_earliest(seed: int) -> Workload:
    """The group starts over: 100,000..400,000 records wait at the start, and 150..400 records/s arrive."""
    dice = _dice("replay-earliest", seed)
    levels = _flat(dice.uniform(150, 400))
    plant = PlantSpec(initial_lag=int(dice.integers(100_000, 400_000)))
    return _workload("replay-earliest", seed, noisy(dice, levels), plant)


def idle_to_zero(seed: int) -> Workload:
    """Two hours of 100..500 records/s with two breaks of 10..30 min without a record; 0 replicas are allowed."""
    dice = _dice("idle-to-zero", seed)
    levels = _flat(dice.uniform(100, 500), 2 * SECONDS)
    for half in (0, SECONDS):
        start = half + dice.integers(600, 1500)
        levels[start:start + dice.integers(600, 1800)] = 0
    return replace(_workload("idle-to-zero", seed, noisy(dice, levels)), min_replicas=0)


FAMILIES: Mapping[str, Callable[[int], Workload]] = {
    "steady": steady,
    "step": step,
    "ramp": ramp,
    "spike-train": spike_train,
    "diurnal": diurnal,
    "slow-consumers": slow_consumers,
    "hot-partition": hot_partition,
    "downstream-limit": downstream_limit,
    "outage-burst": outage_burst,
    "flash-sale": flash_sale,
    "replay-earliest": replay_earliest,
    "idle-to-zero": idle_to_zero,
}
"""All families by name, from the plain to the odd."""


def workload(family: str, seed: int) -> Workload:
    """The workload of that family and seed.

    Raises:
        ValueError: there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"there is no workload {family!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[family](seed)


def trace(path: Path) -> tuple[float, ...]:
    """Arrivals in records/s for each second, from a CSV file with the columns `seconds,records_per_second`.

    The first row is at 0; a row holds until the next one, the last one for one second.

    Raises:
        ValueError: the file can not be read or is no such table; names the file and the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: {error}") from None
    if not rows or [cell.strip() for cell in rows[0]] != COLUMNS:
        raise ValueError(f"{path}: the first line has to be {','.join(COLUMNS)}")
    return _spread_out(path, [_row(path, number, row) for number, row in enumerate(rows[1:], start=2)])


def _row(path: Path, number: int, row: list[str]) -> tuple[float, float]:
    try:
        seconds, rate = (float(cell) for cell in row)
    except ValueError:
        raise ValueError(f"{path}: row {number} is not two numbers: {','.join(row)[:80]}") from None
    if not (0 <= seconds < TRACE_SECONDS_MAX and 0 <= rate < math.inf):
        raise ValueError(f"{path}: row {number}: seconds must be 0..{TRACE_SECONDS_MAX - 1}, rates 0 or more")
    return seconds, rate


def _spread_out(path: Path, rows: list[tuple[float, float]]) -> tuple[float, ...]:
    times = [seconds for seconds, _ in rows]
    if not rows or times[0] != 0:
        raise ValueError(f"{path}: the first row has to be at 0 seconds")
    for number, (before, after) in enumerate(pairwise(times), start=3):
        if after <= before:
            raise ValueError(f"{path}: row {number}: {after:g} seconds do not come after {before:g}")
    return tuple(rows[bisect_right(times, second) - 1][1] for second in range(int(times[-1]) + 1))


def _dice(family: str, seed: int) -> Dice:
    return np.random.Generator(np.random.PCG64((seed, *family.encode())))


def _flat(level: float, seconds: int = SECONDS) -> Levels:
    return np.full(seconds, level)


def noisy(dice: Dice, levels: Levels, share: float = 0.03, memory_seconds: float = 60.0) -> Levels:
    """Noise that stays within +-`share` of the level and is forgotten in about a minute (an AR(1) process)."""
    kept = math.exp(-1 / memory_seconds)
    pushes = math.sqrt(1 - kept * kept) * dice.standard_normal(len(levels))
    noise, value = [], 0.0
    for push in pushes.tolist():
        value = kept * value + push
        noise.append(value)
    return np.asarray(levels * (1 + share * np.clip(np.array(noise) / 2, -1, 1)), dtype=np.float64)


def _workload(name: str, seed: int, levels: Levels, plant: PlantSpec | None = None) -> Workload:
    plant = plant or PlantSpec()
    arrival = tuple(round(level, 3) for level in levels.tolist())
    return Workload(name, seed, arrival, replace(plant, initial_replicas=fitting(arrival[0], plant)))


def fitting(level: float, plant: PlantSpec) -> int:
    """The fewest replicas whose busiest consumer keeps up with an even spread of `level`."""
    each = level / plant.partitions
    fits = (n for n in range(1, plant.partitions) if -(-plant.partitions // n) * each <= plant.capacity)
    return next(fits, plant.partitions)
