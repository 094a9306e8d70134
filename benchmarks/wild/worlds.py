"""Whole worlds drawn from traits: a pure function of the seed.

Each trait has dice of its own, so that a world without one of its traits is the same world in all else. Loads are
drawn as shares of what `maxReplicas` can hold, so that most worlds can be held by some number of replicas.
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
    Extra,
    Offsets,
    Outsiders,
    Resets,
    Stuck,
    Topic,
    Word,
    World,
)

Dice = np.random.Generator
ASSIGNORS = ("range", "roundrobin", "sticky", "cooperative-sticky", "uniform")
HEALTHY_SECONDS = 6000
STREAMS = ("stream", "stickytaskassignor", "highavailability")


@dataclass(slots=True)
class Draft:
    """A world while its traits are drawn.

    Args:
        seconds: how long it takes.
        partitions: of the main topic.
        load: arrivals of the main topic, as a share of what all replicas allowed can process, in each second.
        policy: the user's wishes.
        plant: pods, consumers, coordinator.
        record_seconds: how long a job takes; 0 where records are a stream.
        weights: shares of the main topic's partitions.
        changes: when the load changed.
        others: topics besides the main one, their loads as shares too.
        main: changes of the main topic.
        limit: what all consumers together can process, as a share too; None for no limit.
        world: fields of the world as they are.
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

    def replant(self, **changes: object) -> None:
        """Change the plant."""
        self.plant = replace(self.plant, **changes)  # type: ignore[arg-type]

    def wish(self, **changes: object) -> None:
        """Change the policy."""
        self.policy = replace(self.policy, **changes)  # type: ignore[arg-type]

    def moment(self, dice: Dice, least: float = 0.15, most: float = 0.6) -> float:
        """A time of the run in whole seconds, as shares of it."""
        return float(round(self.seconds * dice.uniform(least, most)))

    def add(self, topic: Topic) -> None:
        """Another topic."""
        self.others.append(topic)

    def flat(self, share: float) -> tuple[float, ...]:
        """One share for the whole run."""
        return (share,) * self.seconds


@dataclass(frozen=True, slots=True)
class Drawn:
    """A world and the traits it has."""

    seed: int
    world: World
    traits: tuple[str, ...]


def draw(seed: int, without: frozenset[str] = frozenset()) -> Drawn:
    """The world of a seed, `without` some of its traits."""
    draft, traits = _base(_dice(seed, "base")), []
    for name, (chance, trait) in TRAITS.items():
        dice = _dice(seed, name)
        if dice.random() < chance and name not in without:
            trait(dice, draft)
            traits.append(name)
    return Drawn(seed, _world(seed, draft), tuple(traits))


def healthy(world: World, replicas: int, seconds: int = HEALTHY_SECONDS) -> World:
    """The group as it would be if nothing were the matter: its mean load, and no trouble at all."""
    kept = tuple(replace(topic, arrival=(float(np.mean(topic.arrival[1:])),) * seconds, offsets=(), trailing=0,
                         delay_seconds=0.0) for topic in world.topics if topic.reader == OURS)
    plant = PlantSpec(partitions=sum(topic.partitions for topic in kept), capacity=world.plant.capacity,
                      threads=world.plant.threads, assignor=world.plant.assignor, protocol=world.plant.protocol,
                      initial_replicas=replicas)
    return World(f"{world.name}-healthy", world.seed, kept, plant, world.policy, record_seconds=world.record_seconds)


def steps(dice: Dice, draft: Draft) -> None:
    """The load steps up or down once or twice."""
    for at in sorted(draft.moment(dice, 0.15, 0.6) for _ in range(int(dice.integers(1, 3)))):
        draft.load[int(at):] = dice.uniform(0.03, 0.65)
        draft.changes.add(at)


def ramp(dice: Dice, draft: Draft) -> None:
    """The load goes evenly to another level over 10 to 40 minutes."""
    at, lasts = int(draft.moment(dice, 0.1, 0.3)), int(dice.integers(600, 2400))
    until = min(draft.seconds, at + lasts)
    draft.load[at:until] = np.linspace(draft.load[at], dice.uniform(0.1, 0.65), until - at)
    draft.load[until:] = draft.load[until - 1]
    draft.changes |= set(map(float, range(at, until, 120))) | {float(until)}


def stops(dice: Dice, draft: Draft) -> None:
    """Nothing arrives for 15 to 40 minutes."""
    at, lasts = int(draft.moment(dice, 0.2, 0.6)), int(dice.integers(900, 2400))
    draft.load[at:at + lasts] = 0.0
    draft.changes |= {float(at), float(min(draft.seconds - 1, at + lasts))}


def batches(dice: Dice, draft: Draft) -> None:
    """Little arrives but one batch every 20 to 40 minutes, of 2 to 8 minutes' work for all replicas."""
    every = int(dice.integers(1200, 2400))
    draft.load[:] = dice.choice([0.0, 0.02])
    draft.changes = {0.0}
    for at in range(int(dice.integers(300, 900)), draft.seconds, every):
        draft.load[at] = dice.uniform(120, 480)
        draft.changes.add(float(at))


def noise(dice: Dice, draft: Draft) -> None:
    """Arrivals vary by up to 20% from one second to the next."""
    draft.load *= np.maximum(0.0, 1 + dice.uniform(0.02, 0.2) * dice.standard_normal(draft.seconds))


def skewed(dice: Dice, draft: Draft) -> None:
    """Some partitions get up to 1.4 times as much as others."""
    draft.weights = tuple(dice.uniform(1, 1.4, draft.partitions).tolist())


def second_topic(dice: Dice, draft: Draft) -> None:
    """Our consumers read another topic of its own load too, which is declared or is not."""
    draft.add(Topic("views", draft.flat(dice.uniform(0.01, 0.15)), partitions=int(dice.integers(1, 13))))


def left_topic(dice: Dice, draft: Draft) -> None:
    """A topic that nobody reads any more keeps its commits and gets records."""
    draft.add(Topic("legacy", draft.flat(dice.uniform(0.005, 0.1)), partitions=int(dice.integers(1, 9)),
                    reader=NOBODY))


def dead_letters(dice: Dice, draft: Draft) -> None:
    """The pattern matches a topic that the group never read."""
    draft.add(Topic("orders.dlt", draft.flat(dice.uniform(0.001, 0.05)), partitions=int(dice.integers(1, 13)),
                    reader=NOBODY, committed=False))
    draft.wish(topic_pattern=r"orders.*", topics=(), offset_reset=OffsetReset(dice.choice(["earliest", "latest"])))


def declared(dice: Dice, draft: Draft) -> None:
    """`topics` names the main topic alone."""
    draft.wish(topics=("orders",), topic_pattern=None)


def shared_other_topic(dice: Dice, draft: Draft) -> None:
    """Members of another Deployment read a topic of theirs under our group.id; ours is declared."""
    draft.add(Topic("audit", draft.flat(0.02), partitions=int(dice.integers(1, 13)), reader="audit"))
    draft.wish(topics=("orders",), topic_pattern=None)
    since = draft.moment(dice) if dice.random() < 0.3 else 0.0
    _strangers(draft, Outsiders("audit", int(dice.integers(1, 25)), ("audit",), since))


def shared_our_topic(dice: Dice, draft: Draft) -> None:
    """Members of another Deployment hold some of our partitions, for good or for a while."""
    since = draft.moment(dice, 0.1, 0.4) if dice.random() < 0.5 else 0.0
    until = draft.moment(dice, 0.5, 0.8) if dice.random() < 0.7 else inf
    _strangers(draft, Outsiders("batch", int(dice.integers(1, 9)), ("orders",), since, until))


def by_hand(dice: Dice, draft: Draft) -> None:
    """Consumers assign partitions by hand: the group is Empty or Dead."""
    draft.replant(assignor="roundrobin", protocol="classic")
    draft.world["words"] = (Word(str(dice.choice(["Empty", "Dead"]))),)


def threads(dice: Dice, draft: Draft) -> None:
    """Two to four consumers in each pod, which the policy knows or does not."""
    count = int(dice.integers(2, 5))
    draft.replant(threads=count)
    if dice.random() < 0.4:
        draft.wish(consumer_threads=count)


def slow_starts(dice: Dice, draft: Draft) -> None:
    """Pods start in one to twenty minutes."""
    draft.replant(pod_start_seconds=_between(dice, 60, 1200), pod_start_jitter=float(dice.uniform(0, 30)))


def long_rebalances(dice: Dice, draft: Draft) -> None:
    """A rebalance takes 20 s to ten minutes."""
    draft.replant(rebalance_seconds=_between(dice, 20, 600))


def assignors(dice: Dice, draft: Draft) -> None:
    """Any of Kafka's assignors."""
    name = str(dice.choice(ASSIGNORS))
    draft.replant(assignor=name, protocol="consumer" if name == "uniform" else "classic")


def streams(dice: Dice, draft: Draft) -> None:
    """Kafka Streams' assignor."""
    draft.replant(assignor="cooperative-sticky", protocol="classic")
    draft.world["assignor"] = str(dice.choice(STREAMS))


def jobs(dice: Dice, draft: Draft) -> None:
    """A record takes two seconds to twenty minutes."""
    draft.record_seconds = _between(dice, 2, 1200)
    draft.wish(lag_seconds=max(draft.policy.lag_seconds, round(6 * draft.record_seconds)))


def rare_commits(dice: Dice, draft: Draft) -> None:
    """Commits are 20 s to twenty minutes apart."""
    draft.replant(commit_seconds=_between(dice, 20, 1200))


def reconciling(dice: Dice, draft: Draft) -> None:
    """The group is said to reconcile for 10 to 40 minutes though its offsets move."""
    draft.replant(assignor="uniform", protocol="consumer")
    at = draft.moment(dice, 0.1, 0.4)
    draft.world["words"] = (Word("Reconciling", at, at + float(dice.integers(600, 2400))),)


def delayed(dice: Dice, draft: Draft) -> None:
    """A retry topic holds its records back for 30 s to 20 minutes."""
    draft.add(Topic("orders-retry", draft.flat(dice.uniform(0.001, 0.02)), partitions=int(dice.integers(1, 7)),
                    delay_seconds=float(round(_between(dice, 30, 1200)))))


def trailing(dice: Dice, draft: Draft) -> None:
    """One to five control records at the end of each partition."""
    draft.main["trailing"] = int(dice.integers(1, 6))


def old_loss(dice: Dice, draft: Draft) -> None:
    """The first partition is at rest and lost its last records long ago."""
    if draft.partitions < 2:
        return
    rest = (0.0, *(draft.weights or (1.0,) * draft.partitions)[1:])
    end = int(dice.integers(1000, 9000))
    draft.weights = rest
    draft.main["offsets"] = (Offsets(0, end, end, end - int(dice.integers(10, 900))),)


def beyond_end(dice: Dice, draft: Draft) -> None:
    """The committed offsets are those of another cluster, far beyond the ends."""
    committed = int(dice.integers(100_000_000, 900_000_000))
    draft.main["offsets"] = tuple(Offsets(number, 0, 5000, committed) for number in range(draft.partitions))


def stuck(dice: Dice, draft: Draft) -> None:
    """A partition does not move for 10 to 40 minutes."""
    at = draft.moment(dice)
    draft.world["stuck"] = (Stuck("orders", int(dice.integers(draft.partitions)), at,
                                  at + float(dice.integers(600, 2400))),)


def canary(dice: Dice, draft: Draft) -> None:
    """The workload has one or two pods beyond its replicas for half an hour or longer."""
    at = draft.moment(dice, 0.05, 0.4)
    draft.world["extra"] = (Extra(int(dice.integers(1, 3)), at, at + float(dice.integers(1800, 9000))),)


def resets(dice: Dice, draft: Draft) -> None:
    """Somebody else writes the replicas every 2 to 15 minutes, for good or for a while."""
    at = draft.moment(dice, 0.1, 0.4)
    until = draft.moment(dice, 0.5, 0.8) if dice.random() < 0.6 else inf
    draft.world["resets"] = Resets(int(dice.integers(1, 4)), float(dice.integers(120, 900)), at, until)


def zero(dice: Dice, draft: Draft) -> None:
    """`minReplicas: 0`."""
    draft.wish(min_replicas=0)


def minimum(dice: Dice, draft: Draft) -> None:
    """`minReplicas` is 2 or 3."""
    draft.wish(min_replicas=min(draft.policy.max_replicas, int(dice.integers(2, 4))))


def objective(dice: Dice, draft: Draft) -> None:
    """An objective from five seconds to a day."""
    draft.wish(lag_seconds=float(round(_between(dice, 5, 86_400))))


def crashes(dice: Dice, draft: Draft) -> None:
    """One to three times a pod dies and starts again."""
    draft.replant(crashes=tuple((draft.moment(dice, 0.1, 0.8), 1) for _ in range(int(dice.integers(1, 4)))))


def gaps(dice: Dice, draft: Draft) -> None:
    """Up to a tenth of the polls fail, and some lack a partition."""
    draft.replant(poll_gap_chance=float(dice.uniform(0, 0.1)), poll_partial_chance=float(dice.uniform(0, 0.03)))


def pending(dice: Dice, draft: Draft) -> None:
    """For 10 to 20 minutes pods that are asked for find no room."""
    at = draft.moment(dice, 0.1, 0.6)
    draft.world["pending"] = ((at, at + float(dice.integers(600, 1200))),)


def outage(dice: Dice, draft: Draft) -> None:
    """For two to ten minutes nobody processes anything."""
    draft.replant(outages=((draft.moment(dice), float(dice.integers(120, 600))),))


def slowdown(dice: Dice, draft: Draft) -> None:
    """All consumers are slower by 20 to 50% for a while."""
    at = draft.moment(dice, 0.1, 0.4)
    until = draft.moment(dice, 0.5, 0.8)
    draft.replant(capacity_changes=((at, float(dice.uniform(0.5, 0.8))), (until, 1.0)))


def downstream(dice: Dice, draft: Draft) -> None:
    """A bound that all consumers share."""
    draft.limit = float(dice.uniform(0.2, 0.8))


def retention(dice: Dice, draft: Draft) -> None:
    """Records are deleted after 20 to 60 minutes."""
    draft.replant(retention_seconds=float(dice.integers(1200, 3600)))


def backlog(dice: Dice, draft: Draft) -> None:
    """At the start of the run records of 2 to 20 minutes' work for all replicas arrive at once."""
    draft.load[0] = dice.uniform(120, 1200)


Trait = Callable[[Dice, Draft], None]
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
"""Chance and function of each trait; a later one overrules an earlier one where both say something of the same."""


def _base(dice: Dice) -> Draft:
    seconds = int(dice.choice([4500, 6300, 9000, 10_800], p=[0.45, 0.35, 0.12, 0.08]))
    partitions = _partitions(dice)
    most = int(dice.integers(1, 25)) if dice.random() < 0.3 else 12
    capacity = _between(dice, 2, 1000)
    plant = PlantSpec(capacity=capacity, pod_start_seconds=float(dice.integers(10, 40)),
                      rebalance_seconds=float(dice.integers(1, 12)))
    load = np.full(seconds, dice.uniform(0.03, 0.5))
    return Draft(seconds, partitions, load, Policy(max_replicas=most), plant, changes={0.0})


def _partitions(dice: Dice) -> int:
    """Mostly 4 to 48; rarely one, hundreds or thousands."""
    kind = dice.random()
    if kind < 0.06:
        return int(dice.integers(1, 4))
    if kind < 0.97:
        return int(dice.choice([4, 6, 8, 10, 12, 12, 12, 16, 20, 24, 30, 32, 48]))
    return round(_between(dice, 100, 5000)) if kind > 0.995 else int(dice.integers(60, 200))


def _world(seed: int, draft: Draft) -> World:
    plant = draft.plant
    per_consumer = 1.0 / draft.record_seconds if draft.record_seconds else plant.capacity
    unit = per_consumer * _reach(draft.partitions, draft.policy.max_replicas * plant.threads)
    topics = tuple(
        replace(topic, arrival=tuple((np.array(topic.arrival) * unit).tolist()))
        for topic in (Topic("orders", tuple(draft.load.tolist()), draft.partitions, draft.weights,
                            **draft.main), *draft.others))  # type: ignore[arg-type]
    start = _fitting(draft, plant.threads)
    plant = replace(plant, partitions=sum(topic.partitions for topic in topics), initial_replicas=start,
                    downstream_limit=None if draft.limit is None else draft.limit * unit)
    return World(f"world-{seed}", seed, topics, plant, draft.policy, record_seconds=draft.record_seconds,
                 changes=tuple(sorted(draft.changes)), **draft.world)  # type: ignore[arg-type]


def _reach(partitions: int, consumers: int) -> float:
    """How many consumers' work so many can do at an even load: of 10 partitions over 6, two each are 5 consumers'."""
    return partitions / math.ceil(partitions / min(consumers, partitions))


def _fitting(draft: Draft, consumers: int) -> int:
    """The replicas of the start: what the first minute needs, and a third more."""
    needed = float(np.median(draft.load[:60])) * _reach(draft.partitions, draft.policy.max_replicas * consumers)
    fit = math.ceil(needed * 1.3 / consumers)
    return min(draft.policy.max_replicas, max(draft.policy.min_replicas, fit))


def _strangers(draft: Draft, others: Outsiders) -> None:
    there = draft.world.get("outsiders", ())
    draft.world["outsiders"] = (*there, others)  # type: ignore[misc]


def _between(dice: Dice, least: float, most: float) -> float:
    """Even in the logarithm."""
    return float(math.exp(dice.uniform(math.log(least), math.log(most))))


def _dice(seed: int, trait: str) -> Dice:
    return np.random.Generator(np.random.PCG64((seed, *trait.encode())))
