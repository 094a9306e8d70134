"""Scenarios to name causes by: troubles that the families of the proof lack, and healthy groups that look odd.

A scenario follows from its name and seed alone. In each trouble a group of 2 to 5 consumers' worth of steady load meets
it at 20 to 30 min of an hour. The healthy ones have a load that the replicas of the start hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.troubled import ALL_PODS, Restart, Trouble, TroubledPlant
from kafka_consumer_scaler.simulation.workload import (
    FAMILIES,
    SECONDS,
    Dice,
    Levels,
    Workload,
    fitting,
    noisy,
    workload,
)

MAX_REPLICAS = 12
WARM_UP_SECONDS = 1800
TOLD_SECONDS = 600.0
"""For how long the operator tells of a pod's restart."""
CRASH_BACK_OFF = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""The kubelet's waiting times between the crashes of a container, seconds; the last one is repeated."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load, the policy that meets it, and what happens to the group.

    Args:
        load: the arrivals and the group.
        policy: what the user wants.
        trouble: what else happens.
        cause_at: when the cause begins, seconds from the start; None where the load does not tell.
    """

    load: Workload
    policy: Policy
    trouble: Trouble = field(default_factory=Trouble)
    cause_at: float | None = None

    @property
    def name(self) -> str:
        """The name of its family or trouble."""
        return self.load.name


def play(scenario: Scenario) -> KafkaConsumerScaler:
    """Our own policy over the whole scenario; it keeps the verdict of every look."""
    scaler = KafkaConsumerScaler(scenario.policy)
    plant = TroubledPlant(scenario.load.plant, scenario.load.arrival, scenario.load.seed, scenario.trouble)
    for second in range(1, len(scenario.load.arrival) + 1):
        plant.step()
        is_due = second % scenario.policy.polling_interval_seconds == 0
        wanted = scaler.look(plant.observe()) if is_due else None
        if wanted is not None and wanted != plant.replicas_spec:
            plant.scale(wanted)
    return scaler


def family(name: str, seed: int) -> Scenario:
    """A family of the proof as a scenario.

    Raises:
        ValueError: there is no such family.
    """
    load = workload(name, seed)
    plant = load.plant
    known = [at for at, _ in (*plant.capacity_changes[:1], *plant.outages[:1])]
    return Scenario(load, _policy(load.min_replicas), cause_at=known[0] if known else None)


def stuck_partition(seed: int) -> Scenario:
    """The consumer of one partition is alive and gets no further with it, to the end."""
    dice = _dice("stuck-partition", seed)
    at = _moment(dice)
    return _steady("stuck-partition", seed, dice, Trouble(stuck=(at, int(dice.integers(12)))), at)


def no_members(seed: int) -> Scenario:
    """For 5 to 15 min no pod is in the group: all crash, or all went to another group, of which pods tell nothing."""
    dice = _dice("no-members", seed)
    at, lasts, is_crash = _moment(dice), float(dice.integers(300, 900)), bool(dice.random() < 0.5)
    gone = Restart(at, lasts, pods=ALL_PODS, is_crash=is_crash, is_orderly=not is_crash)
    told = (at, at + lasts + TOLD_SECONDS, "in CrashLoopBackOff (exit code 1)") if is_crash else None
    return _steady("no-members", seed, dice, Trouble((gone,), pending=(at, at + lasts), told=told), at)


def rebalance_storm(seed: int) -> Scenario:
    """One member's poll takes too long: it has to leave every 60 to 240 s, and is back 5 to 20 s later, to the end."""
    dice = _dice("rebalance-storm", seed)
    at, every, away = _moment(dice), float(dice.integers(60, 240)), float(dice.integers(5, 20))
    leaves = tuple(Restart(float(each), away) for each in np.arange(at, SECONDS, every))
    return _steady("rebalance-storm", seed, dice, Trouble(leaves), at)


def crashing_pod(seed: int) -> Scenario:
    """One pod crashes 20 to 40 s after each start, and is started again after the kubelet's back-off, to the end."""
    dice = _dice("crashing-pod", seed)
    at = began = _moment(dice)
    runs, crashes = float(dice.integers(20, 40)), list[Restart]()
    while at < SECONDS:
        away = CRASH_BACK_OFF[min(len(crashes), len(CRASH_BACK_OFF) - 1)]
        crashes.append(Restart(at, away, is_crash=True))
        at += away + runs
    told = (began, float(SECONDS), "in CrashLoopBackOff (exit code 1)")
    return _steady("crashing-pod", seed, dice, Trouble(tuple(crashes), told=told), began)


def pending_pods(seed: int) -> Scenario:
    """The load grows 2 to 2.5 times, and the pods asked for find no room for 10 to 20 min."""
    dice = _dice("pending-pods", seed)
    at, lasts = _moment(dice), float(dice.integers(600, 1200))
    levels = _flat(dice.uniform(200, 400))
    levels[int(at):] *= dice.uniform(2, 2.5)
    trouble = Trouble(pending=(at, at + lasts), told=(at, at + lasts, "unschedulable (Insufficient cpu)"))
    return Scenario(_load("pending-pods", seed, noisy(dice, levels)), _policy(), trouble, at)


def spike_beyond_partitions(seed: int) -> Scenario:
    """For 5 to 15 min 1,300 to 2,000 records/s, where twelve partitions let twelve consumers do 1,200."""
    dice = _dice("spike-beyond-partitions", seed)
    at, levels = _moment(dice), _flat(dice.uniform(200, 480))
    levels[int(at):int(at) + dice.integers(300, 900)] = dice.uniform(1300, 2000)
    return Scenario(_load("spike-beyond-partitions", seed, noisy(dice, levels)), _policy(), cause_at=at)


def spike_beyond_maximum(seed: int) -> Scenario:
    """For 10 to 20 min 1.2 to 1.6 times what the 4 or 6 replicas of `maxReplicas` can do."""
    dice = _dice("spike-beyond-maximum", seed)
    at, most = _moment(dice), int(dice.choice([4, 6]))
    levels = _flat(dice.uniform(100, 50 * most))
    levels[int(at):int(at) + dice.integers(600, 1200)] = 100 * most * dice.uniform(1.2, 1.6)
    return Scenario(_load("spike-beyond-maximum", seed, noisy(dice, levels)), Policy(max_replicas=most), cause_at=at)


def retention_deletes(seed: int) -> Scenario:
    """For 25 min 1,800 to 2,400 records/s, of which 1,200 can be done, and records are deleted after 4 to 7 min."""
    dice = _dice("retention-deletes", seed)
    at, levels = _moment(dice), _flat(dice.uniform(200, 480))
    levels[int(at):int(at) + 1500] = dice.uniform(1800, 2400)
    plant = PlantSpec(retention_seconds=float(dice.integers(240, 420)))
    return Scenario(_load("retention-deletes", seed, noisy(dice, levels), plant), _policy(), cause_at=at)


def hung_transaction(seed: int) -> Scenario:
    """A producer leaves a transaction open on one partition, to the end."""
    dice = _dice("hung-transaction", seed)
    at = _moment(dice)
    return _steady("hung-transaction", seed, dice, Trouble(held=(at, int(dice.integers(12)))), at)


def rolling_restart(seed: int) -> Scenario:
    """Every pod is replaced, one each 20 to 40 s: it leaves in good order and its successor joins 15 to 19 s later."""
    dice = _dice("rolling-restart", seed)
    at, every, away = _moment(dice), float(dice.integers(20, 40)), float(dice.integers(15, 19))
    turns = tuple(Restart(at + every * turn, away, first=turn, is_orderly=True) for turn in range(MAX_REPLICAS))
    return _steady("rolling-restart", seed, dice, Trouble(turns), at)


def healthy_noisy(seed: int, seconds: int = WARM_UP_SECONDS + 1800) -> Scenario:
    """40 to 80% of what 2 to 8 replicas can do, noise up to 30%, skew up to 1.3, gaps in polling; nothing is wrong."""
    dice = _dice("healthy-noisy", seed)
    replicas = int(dice.integers(2, 9))
    plant = PlantSpec(
        weights=tuple(dice.uniform(1, 1.3, 12).tolist()), assignor=str(dice.choice(ASSIGNORS)),
        poll_gap_chance=float(dice.uniform(0, 0.1)), poll_partial_chance=float(dice.uniform(0, 0.02)))
    levels = noisy(dice, _flat(100 * replicas * dice.uniform(0.4, 0.8), seconds), dice.uniform(0.1, 0.3))
    return Scenario(_load("healthy-noisy", seed, levels, plant, replicas), _policy())


ASSIGNORS = ("range", "roundrobin", "sticky", "cooperative-sticky", "uniform")
TROUBLES: Mapping[str, Callable[[int], Scenario]] = {
    "stuck-partition": stuck_partition,
    "no-members": no_members,
    "rebalance-storm": rebalance_storm,
    "crashing-pod": crashing_pod,
    "pending-pods": pending_pods,
    "spike-beyond-partitions": spike_beyond_partitions,
    "spike-beyond-maximum": spike_beyond_maximum,
    "retention-deletes": retention_deletes,
    "hung-transaction": hung_transaction,
    "rolling-restart": rolling_restart,
    "healthy-noisy": healthy_noisy,
}
"""All by name; the last two are healthy."""
SCENARIOS = (*FAMILIES, *TROUBLES)


def scenario(name: str, seed: int) -> Scenario:
    """The scenario of that name, a family's or a trouble's, and seed.

    Raises:
        ValueError: there is no such scenario.
    """
    return TROUBLES[name](seed) if name in TROUBLES else family(name, seed)


def _steady(name: str, seed: int, dice: Dice, trouble: Trouble, at: float) -> Scenario:
    load = _load(name, seed, noisy(dice, _flat(dice.uniform(200, 480)), 0.05))
    return Scenario(load, _policy(), trouble, at)


def _moment(dice: Dice) -> float:
    return float(dice.integers(1200, 1800))


def _flat(level: float, seconds: int = SECONDS) -> Levels:
    return np.full(seconds, level)


def _policy(min_replicas: int = 1) -> Policy:
    return Policy(max_replicas=MAX_REPLICAS, min_replicas=min_replicas)


def _dice(name: str, seed: int) -> Dice:
    return np.random.Generator(np.random.PCG64((seed, *name.encode())))


def _load(name: str, seed: int, levels: Levels, plant: PlantSpec | None = None, replicas: int = 0) -> Workload:
    plant = plant or PlantSpec()
    arrival = tuple(round(level, 3) for level in levels.tolist())
    return Workload(name, seed, arrival, replace(plant, initial_replicas=replicas or fitting(arrival[0], plant)))
