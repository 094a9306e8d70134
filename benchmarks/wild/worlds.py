"""Generate worlds from random traits, as a pure function of the seed.

Each trait has its own random stream, so removing a trait does not change the others. Loads are drawn as shares of the
capacity of `maxReplicas`, so that some number of replicas keeps up in most worlds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.wild.world import (
    NOBODY,
    OURS,
    ExtraPods,
    Offsets,
    OutsideMembers,
    ReportedState,
    Resets,
    Stuck,
    Topic,
    World,
)

Rng = np.random.Generator
ASSIGNORS = ("range", "roundrobin", "sticky", "cooperative-sticky", "uniform")
HEALTHY_SECONDS = 6000
STREAMS = ("stream", "stickytaskassignor", "highavailability")


@dataclass(slots=True)
class Draft:
    """A world under construction.

    Args:
        seconds: length of the run.
        partitions: number of partitions of the main topic.
        load: arrivals of the main topic in each second, as a share of the capacity of `maxReplicas`.
        policy: the user's settings.
        plant: pods, consumers, coordinator.
        record_seconds: processing time of one record; 0 for a rate instead.
        weights: relative load of the main topic's partitions.
        changes: times at which the load changes.
        others: additional topics, with loads as shares of the same capacity.
        main: fields of the main topic.
        limit: downstream limit of all consumers together, as a share of the same capacity; None for no limit.
        world: fields of the world.
    """

    seconds: int
    partitions: int
    load: NDArray[np.float64]
    policy: Policy
    plant: PlantSpec
    record_seconds: float = 0.0
    weights: tuple[float, ...] = ()
    changes: set[float] = field(default_factory=set)
    others: list[Topic] = field(default_factory=list)
    main: dict[str, object] = field(default_factory=dict)
    limit: float | None = None
    world: dict[str, object] = field(default_factory=dict)

    def set_plant(self, **changes: object) -> None:
        """Change fields of the plant."""
        self.plant = replace(self.plant, **changes)  # type: ignore[arg-type]

    def set_policy(self, **changes: object) -> None:
        """Change fields of the policy."""
        self.policy = replace(self.policy, **changes)  # type: ignore[arg-type]

    def time_log_uniform(self, rng: Rng, least: float = 0.15, most: float = 0.6) -> float:
        """A random time in whole seconds, between `least` and `most` as shares of the run."""
        return float(round(self.seconds * rng.uniform(least, most)))

    def add(self, topic: Topic) -> None:
        """Add a topic."""
        self.others.append(topic)

    def flat(self, share: float) -> tuple[float, ...]:
        """A constant load for the whole run."""
        return (share,) * self.seconds


@dataclass(frozen=True, slots=True)
class Drawn:
    """A generated world and its traits."""

    seed: int
    world: World
    traits: tuple[str, ...]


def draw(seed: int, without: frozenset[str] = frozenset()) -> Drawn:
    """Generate the world of a seed, `without` some of its traits."""
    draft, traits = _base(_rng(seed, "base")), []
    for name, (chance, trait) in TRAITS.items():
        rng = _rng(seed, name)
        if rng.random() < chance and name not in without:
            trait(rng, draft)
            traits.append(name)
    return Drawn(seed, _world(seed, draft), tuple(traits))


def healthy(world: World, replicas: int, seconds: int = HEALTHY_SECONDS) -> World:
    """The same group at its mean load, without any faults."""
    kept = tuple(replace(topic, arrival=(float(np.mean(topic.arrival[1:])),) * seconds, offsets=(), trailing=0,
                         delay_seconds=0.0) for topic in world.topics if topic.reader == OURS)
    plant = PlantSpec(partitions=sum(topic.partitions for topic in kept), capacity=world.plant.capacity,
                      threads=world.plant.threads, assignor=world.plant.assignor, protocol=world.plant.protocol,
                      initial_replicas=replicas)
    return World(f"{world.name}-healthy", world.seed, kept, plant, world.policy, record_seconds=world.record_seconds)


def steps(rng: Rng, draft: Draft) -> None:
    """The load steps up or down once or twice."""
    for at in sorted(draft.time_log_uniform(rng, 0.15, 0.6) for _ in range(int(rng.integers(1, 3)))):
        draft.load[int(at):] = rng.uniform(0.03, 0.65)
        draft.changes.add(at)


def ramp(rng: Rng, draft: Draft) -> None:
    """The load changes linearly to another level over 10 to 40 minutes."""
    at, lasts = int(draft.time_log_uniform(rng, 0.1, 0.3)), int(rng.integers(600, 2400))
    until = min(draft.seconds, at + lasts)
    draft.load[at:until] = np.linspace(draft.load[at], rng.uniform(0.1, 0.65), until - at)
    draft.load[until:] = draft.load[until - 1]
    draft.changes |= set(map(float, range(at, until, 120))) | {float(until)}


def stops(rng: Rng, draft: Draft) -> None:
    """Arrivals stop for 15 to 40 minutes."""
    at, lasts = int(draft.time_log_uniform(rng, 0.2, 0.6)), int(rng.integers(900, 2400))
    draft.load[at:at + lasts] = 0.0
    draft.changes |= {float(at), float(min(draft.seconds - 1, at + lasts))}


def batches(rng: Rng, draft: Draft) -> None:
    """Low load, and a batch every 20 to 40 minutes that takes `maxReplicas` 2 to 8 minutes."""
    every = int(rng.integers(1200, 2400))
    draft.load[:] = rng.choice([0.0, 0.02])
    draft.changes = {0.0}
    for at in range(int(rng.integers(300, 900)), draft.seconds, every):
        draft.load[at] = rng.uniform(120, 480)
        draft.changes.add(float(at))


def noise(rng: Rng, draft: Draft) -> None:
    """Arrivals vary randomly each second, with a standard deviation of 2% to 20%."""
    draft.load *= np.maximum(0.0, 1 + rng.uniform(0.02, 0.2) * rng.standard_normal(draft.seconds))


def skewed(rng: Rng, draft: Draft) -> None:
    """Some partitions receive up to 1.4 times as much as others."""
    draft.weights = tuple(rng.uniform(1, 1.4, draft.partitions).tolist())


def second_topic(rng: Rng, draft: Draft) -> None:
    """Our consumers also read a second topic with its own load."""
    draft.add(Topic("views", draft.flat(rng.uniform(0.01, 0.15)), partitions=int(rng.integers(1, 13))))


def left_topic(rng: Rng, draft: Draft) -> None:
    """An abandoned topic keeps its commits and still receives records."""
    draft.add(Topic("legacy", draft.flat(rng.uniform(0.005, 0.1)), partitions=int(rng.integers(1, 9)),
                    reader=NOBODY))


def dead_letters(rng: Rng, draft: Draft) -> None:
    """`topicPattern` matches a topic that the group has never read."""
    draft.add(Topic("orders.dlt", draft.flat(rng.uniform(0.001, 0.05)), partitions=int(rng.integers(1, 13)),
                    reader=NOBODY, committed=False))
    draft.set_policy(topic_pattern=r"orders.*", topics=(), offset_reset=OffsetReset(rng.choice(["earliest", "latest"])))


def declared(rng: Rng, draft: Draft) -> None:
    """`topics` names only the main topic."""
    draft.set_policy(topics=("orders",), topic_pattern=None)


def shared_other_topic(rng: Rng, draft: Draft) -> None:
    """Members of another Deployment read their own topic with our group.id; `topics` names ours."""
    draft.add(Topic("audit", draft.flat(0.02), partitions=int(rng.integers(1, 13)), reader="audit"))
    draft.set_policy(topics=("orders",), topic_pattern=None)
    since = draft.time_log_uniform(rng) if rng.random() < 0.3 else 0.0
    _add_outside_members(draft, OutsideMembers("audit", int(rng.integers(1, 25)), ("audit",), since))


def shared_our_topic(rng: Rng, draft: Draft) -> None:
    """Members of another Deployment have some of our partitions, permanently or for some time."""
    since = draft.time_log_uniform(rng, 0.1, 0.4) if rng.random() < 0.5 else 0.0
    until = draft.time_log_uniform(rng, 0.5, 0.8) if rng.random() < 0.7 else inf
    _add_outside_members(draft, OutsideMembers("batch", int(rng.integers(1, 9)), ("orders",), since, until))


def by_hand(rng: Rng, draft: Draft) -> None:
    """Consumers assign partitions manually: the group is Empty or Dead."""
    draft.set_plant(assignor="roundrobin", protocol="classic")
    draft.world["reported_states"] = (ReportedState(str(rng.choice(["Empty", "Dead"]))),)


def threads(rng: Rng, draft: Draft) -> None:
    """Two to four consumers per pod; `consumerThreads` is set or not."""
    count = int(rng.integers(2, 5))
    draft.set_plant(threads=count)
    if rng.random() < 0.4:
        draft.set_policy(consumer_threads=count)


def slow_starts(rng: Rng, draft: Draft) -> None:
    """Pods start in one to twenty minutes."""
    draft.set_plant(pod_start_seconds=_log_uniform(rng, 60, 1200), pod_start_jitter=float(rng.uniform(0, 30)))


def long_rebalances(rng: Rng, draft: Draft) -> None:
    """A rebalance takes 20 s to ten minutes."""
    draft.set_plant(rebalance_seconds=_log_uniform(rng, 20, 600))


def assignors(rng: Rng, draft: Draft) -> None:
    """Any of Kafka's assignors."""
    name = str(rng.choice(ASSIGNORS))
    draft.set_plant(assignor=name, protocol="consumer" if name == "uniform" else "classic")


def streams(rng: Rng, draft: Draft) -> None:
    """Kafka Streams' assignor."""
    draft.set_plant(assignor="cooperative-sticky", protocol="classic")
    draft.world["assignor"] = str(rng.choice(STREAMS))


def jobs(rng: Rng, draft: Draft) -> None:
    """A record takes two seconds to twenty minutes."""
    draft.record_seconds = _log_uniform(rng, 2, 1200)
    draft.set_policy(lag_seconds=max(draft.policy.lag_seconds, round(6 * draft.record_seconds)))


def rare_commits(rng: Rng, draft: Draft) -> None:
    """Commits are 20 s to twenty minutes apart."""
    draft.set_plant(commit_seconds=_log_uniform(rng, 20, 1200))


def reconciling(rng: Rng, draft: Draft) -> None:
    """The group reports Reconciling for 10 to 40 minutes while its offsets advance."""
    draft.set_plant(assignor="uniform", protocol="consumer")
    at = draft.time_log_uniform(rng, 0.1, 0.4)
    draft.world["reported_states"] = (ReportedState("Reconciling", at, at + float(rng.integers(600, 2400))),)


def delayed(rng: Rng, draft: Draft) -> None:
    """Records of a retry topic are processed after 30 s to 20 minutes, on purpose."""
    draft.add(Topic("orders-retry", draft.flat(rng.uniform(0.001, 0.02)), partitions=int(rng.integers(1, 7)),
                    delay_seconds=float(round(_log_uniform(rng, 30, 1200)))))


def trailing(rng: Rng, draft: Draft) -> None:
    """One to five control records at the end of each partition."""
    draft.main["trailing"] = int(rng.integers(1, 6))


def old_loss(rng: Rng, draft: Draft) -> None:
    """The first partition is idle and lost its last records long ago."""
    if draft.partitions < 2:
        return
    rest = (0.0, *(draft.weights or (1.0,) * draft.partitions)[1:])
    end = int(rng.integers(1000, 9000))
    draft.weights = rest
    draft.main["offsets"] = (Offsets(0, end, end, end - int(rng.integers(10, 900))),)


def beyond_end(rng: Rng, draft: Draft) -> None:
    """The committed offsets are from another cluster, far beyond the ends."""
    committed = int(rng.integers(100_000_000, 900_000_000))
    draft.main["offsets"] = tuple(Offsets(number, 0, 5000, committed) for number in range(draft.partitions))


def stuck(rng: Rng, draft: Draft) -> None:
    """A partition makes no progress for 10 to 40 minutes."""
    at = draft.time_log_uniform(rng)
    draft.world["stuck"] = (Stuck("orders", int(rng.integers(draft.partitions)), at,
                                  at + float(rng.integers(600, 2400))),)


def canary(rng: Rng, draft: Draft) -> None:
    """The workload has one or two pods more than replicas for half an hour or longer."""
    at = draft.time_log_uniform(rng, 0.05, 0.4)
    draft.world["extra_pods"] = (ExtraPods(int(rng.integers(1, 3)), at, at + float(rng.integers(1800, 9000))),)


def resets(rng: Rng, draft: Draft) -> None:
    """Another writer sets the replicas every 2 to 15 minutes, permanently or for some time."""
    at = draft.time_log_uniform(rng, 0.1, 0.4)
    until = draft.time_log_uniform(rng, 0.5, 0.8) if rng.random() < 0.6 else inf
    draft.world["resets"] = Resets(int(rng.integers(1, 4)), float(rng.integers(120, 900)), at, until)


def zero(rng: Rng, draft: Draft) -> None:
    """`minReplicas: 0`."""
    draft.set_policy(min_replicas=0)


def minimum(rng: Rng, draft: Draft) -> None:
    """`minReplicas` is 2 or 3."""
    draft.set_policy(min_replicas=min(draft.policy.max_replicas, int(rng.integers(2, 4))))


def objective(rng: Rng, draft: Draft) -> None:
    """An objective from five seconds to a day."""
    draft.set_policy(lag_seconds=float(round(_log_uniform(rng, 5, 86_400))))


def crashes(rng: Rng, draft: Draft) -> None:
    """A pod crashes and restarts, one to three times."""
    draft.set_plant(crashes=tuple((draft.time_log_uniform(rng, 0.1, 0.8), 1) for _ in range(int(rng.integers(1, 4)))))


def gaps(rng: Rng, draft: Draft) -> None:
    """Up to 10% of the polls fail, and up to 3% lack a partition."""
    draft.set_plant(poll_gap_chance=float(rng.uniform(0, 0.1)), poll_partial_chance=float(rng.uniform(0, 0.03)))


def pending(rng: Rng, draft: Draft) -> None:
    """New pods are unschedulable for 10 to 20 minutes."""
    at = draft.time_log_uniform(rng, 0.1, 0.6)
    draft.world["pending"] = ((at, at + float(rng.integers(600, 1200))),)


def outage(rng: Rng, draft: Draft) -> None:
    """All consumers stop processing for two to ten minutes."""
    draft.set_plant(outages=((draft.time_log_uniform(rng), float(rng.integers(120, 600))),))


def slowdown(rng: Rng, draft: Draft) -> None:
    """All consumers are 20% to 50% slower for some time."""
    at = draft.time_log_uniform(rng, 0.1, 0.4)
    until = draft.time_log_uniform(rng, 0.5, 0.8)
    draft.set_plant(capacity_changes=((at, float(rng.uniform(0.5, 0.8))), (until, 1.0)))


def downstream(rng: Rng, draft: Draft) -> None:
    """All consumers share a downstream limit."""
    draft.limit = float(rng.uniform(0.2, 0.8))


def retention(rng: Rng, draft: Draft) -> None:
    """Records are deleted after 20 to 60 minutes."""
    draft.set_plant(retention_seconds=float(rng.integers(1200, 3600)))


def backlog(rng: Rng, draft: Draft) -> None:
    """A backlog at the start that takes `maxReplicas` 2 to 20 minutes."""
    draft.load[0] = rng.uniform(120, 1200)


Trait = Callable[[Rng, Draft], None]
TRAITS: Mapping[str, tuple[float, Trait]] = {
    "steps": (0.5, steps), "ramp": (0.15, ramp), "stops": (0.1, stops), "batches": (0.08, batches),
    "noise": (0.5, noise), "backlog": (0.06, backlog), "skewed": (0.2, skewed),
    "assignors": (0.5, assignors), "streams": (0.06, streams), "declared": (0.25, declared),
    "second-topic": (0.15, second_topic), "left-topic": (0.08, left_topic), "delayed": (0.07, delayed),
    "dead-letters": (0.06, dead_letters), "shared-other-topic": (0.08, shared_other_topic),
    "shared-our-topic": (0.08, shared_our_topic), "by-hand": (0.07, by_hand), "threads": (0.15, threads),
    "slow-starts": (0.2, slow_starts), "long-rebalances": (0.12, long_rebalances),
    "objective": (0.25, objective), "jobs": (0.1, jobs), "rare-commits": (0.15, rare_commits),
    "reconciling": (0.06, reconciling), "trailing": (0.1, trailing), "old-loss": (0.06, old_loss),
    "beyond-end": (0.03, beyond_end), "stuck": (0.1, stuck), "canary": (0.07, canary), "resets": (0.05, resets),
    "zero": (0.2, zero), "minimum": (0.1, minimum), "crashes": (0.1, crashes), "gaps": (0.15, gaps),
    "pending": (0.06, pending), "outage": (0.07, outage), "slowdown": (0.08, slowdown),
    "downstream": (0.04, downstream), "retention": (0.05, retention),
}
"""Probability and function of each trait; a later trait overrides an earlier one in the same field."""


def _base(rng: Rng) -> Draft:
    seconds = int(rng.choice([4500, 6300, 9000, 10_800], p=[0.45, 0.35, 0.12, 0.08]))
    partitions = _partitions(rng)
    most = int(rng.integers(1, 25)) if rng.random() < 0.3 else 12
    capacity = _log_uniform(rng, 2, 1000)
    plant = PlantSpec(capacity=capacity, pod_start_seconds=float(rng.integers(10, 40)),
                      rebalance_seconds=float(rng.integers(1, 12)))
    load = np.full(seconds, rng.uniform(0.03, 0.5))
    return Draft(seconds, partitions, load, Policy(max_replicas=most), plant, changes={0.0})


def _partitions(rng: Rng) -> int:
    """Mostly 4 to 48, rarely 1 to 3, hundreds or thousands."""
    kind = rng.random()
    if kind < 0.06:
        return int(rng.integers(1, 4))
    if kind < 0.97:
        return int(rng.choice([4, 6, 8, 10, 12, 12, 12, 16, 20, 24, 30, 32, 48]))
    return round(_log_uniform(rng, 100, 5000)) if kind > 0.995 else int(rng.integers(60, 200))


def _world(seed: int, draft: Draft) -> World:
    plant = draft.plant
    per_consumer = 1.0 / draft.record_seconds if draft.record_seconds else plant.capacity
    unit = per_consumer * _effective_consumers(draft.partitions, draft.policy.max_replicas * plant.threads)
    topics = tuple(
        replace(topic, arrival=tuple((np.array(topic.arrival) * unit).tolist()))
        for topic in (Topic("orders", tuple(draft.load.tolist()), draft.partitions, draft.weights,
                            **draft.main), *draft.others))  # type: ignore[arg-type]
    start = _initial_replicas(draft, plant.threads)
    plant = replace(plant, partitions=sum(topic.partitions for topic in topics), initial_replicas=start,
                    downstream_limit=None if draft.limit is None else draft.limit * unit)
    return World(f"world-{seed}", seed, topics, plant, draft.policy, record_seconds=draft.record_seconds,
                 changes=tuple(sorted(draft.changes)), **draft.world)  # type: ignore[arg-type]


def _effective_consumers(partitions: int, consumers: int) -> float:
    """Effective number of consumers at an even load: 10 partitions over 6 consumers are 2 each, so 5 are effective."""
    return partitions / math.ceil(partitions / min(consumers, partitions))


def _initial_replicas(draft: Draft, consumers: int) -> int:
    """Initial replicas: 1.3 times the need of the first minute."""
    most = _effective_consumers(draft.partitions, draft.policy.max_replicas * consumers)
    needed = float(np.median(draft.load[:60])) * most
    fit = math.ceil(needed * 1.3 / consumers)
    return min(draft.policy.max_replicas, max(draft.policy.min_replicas, fit))


def _add_outside_members(draft: Draft, others: OutsideMembers) -> None:
    there = draft.world.get("outside_members", ())
    draft.world["outside_members"] = (*there, others)  # type: ignore[misc]


def _log_uniform(rng: Rng, least: float, most: float) -> float:
    """A random value, uniform in its logarithm."""
    return float(math.exp(rng.uniform(math.log(least), math.log(most))))


def _rng(seed: int, trait: str) -> Rng:
    return np.random.Generator(np.random.PCG64((seed, *trait.encode())))
