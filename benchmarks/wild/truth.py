"""What is true in a world: what its replicas could do at a time, and which causes there are.

The load of the busiest consumer is taken for the worst that an assignor may do: of P partitions over m consumers it
holds the ceil(P / m) heaviest; under range so many of each topic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from kafka_consumer_scaler.simulation.wild.play import Played
from kafka_consumer_scaler.simulation.wild.world import NO_MEMBERS, NOBODY, OURS, Topic, World

KEPT_SECONDS = 180.0
"""A finding may outlast its cause by this at least: it is kept for a minute or three polls, and polls may fail."""
SMOOTH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a run in which nothing changed but what the operator did. `loads` are the mean rates of partitions."""

    since: int
    until: int
    loads: tuple[NDArray[np.float64], ...]

    @property
    def total(self) -> float:
        """Records/s that arrive for our consumers."""
        return float(sum(load.sum() for load in self.loads))


def segments(world: World) -> list[Segment]:
    """The parts of a run between two changes of the world."""
    edges = sorted({0, world.seconds, *(int(at) for at in _edges(world) if 0 < at < world.seconds)})
    return [Segment(since, until, _loads(world, since, until)) for since, until in pairwise(edges)]


def reaction_seconds(world: World) -> float:
    """From a change of the load until help can be at work, once: seen, asked for, started, given partitions.

    Six polls and a minute of measuring, three commits and three records to see the drain, a cooldown, a pod's start,
    two rebalances, and a session that has to time out.
    """
    plant, policy = world.plant, world.policy
    return (6 * policy.polling_interval_seconds + 60 + 3 * plant.commit_seconds + 3 * world.record_seconds
            + policy.scale_up.cooldown_seconds + plant.pod_start_seconds + plant.pod_start_jitter
            + 2 * plant.rebalance_seconds + (plant.session_timeout_seconds if plant.crashes else 0))


def busiest(world: World, segment: Segment, replicas: int) -> float:
    """The load of the busiest consumer as a share of what it can do; above 1 it cannot keep up."""
    factor = world.plant.capacity_factor(segment.since)
    consumers = (replicas + world.extra_pods(segment.since)) * world.plant.threads
    consumers += sum(each.members for each in world.outsiders
                     if each.since <= segment.since < each.until and "orders" in each.topics)
    if not consumers or not factor:
        return inf if segment.total else 0.0
    alone = [load for load in segment.loads if len(load)]
    parts = alone if world.plant.assignor == "range" else [np.concatenate(alone)]
    worst = sum(float(np.sort(part)[::-1][:math.ceil(len(part) / consumers)].sum()) for part in parts)
    limit = world.plant.downstream_limit
    shared = segment.total / limit if limit else 0.0
    return max(worst / (world.per_consumer * factor), shared)


def fewest(world: World, segment: Segment, share: float) -> int | None:
    """The fewest replicas within the user's bounds whose busiest consumer has at most `share` to do; None for none."""
    policy = world.policy
    for replicas in range(policy.min_replicas, policy.max_replicas + 1):
        if busiest(world, segment, replicas) <= share:
            return replicas
    return None


@dataclass(frozen=True)
class Scene:
    """A run, and what was true in it at a time; `reason` true at `at` means: now, or no longer ago than is bearable."""

    played: Played

    @property
    def world(self) -> World:
        """The world that was played."""
        return self.played.world

    @cached_property
    def arrival(self) -> NDArray[np.float64]:
        """Records/s of all declared topics, means of a minute."""
        total = np.sum([topic.arrival for topic in self.world.topics], axis=0)
        sums = np.concatenate(([0.0], np.cumsum(total)))
        upto = np.arange(1, len(sums))
        since = np.maximum(0, upto - SMOOTH_SECONDS)
        smooth: NDArray[np.float64] = (sums[upto] - sums[since]) / (upto - since)
        return smooth

    @property
    def bearable(self) -> float:
        """For how long a finding may outlast its cause: until commits, records and polls have shown that it ended."""
        world = self.world
        return (KEPT_SECONDS + 6 * world.policy.polling_interval_seconds + 3 * world.plant.commit_seconds
                + 3 * world.record_seconds + world.plant.rebalance_seconds)

    def span(self, at: float, seconds: float) -> slice:
        """The seconds of the run from `seconds` before `at` on."""
        return slice(max(0, int(at - seconds)), max(1, int(at)))

    def was(self, at: float, since: float, until: float, more: float = 0.0) -> bool:
        """Whether a time lies within what counts at `at`."""
        return since <= at and until >= at - self.bearable - more

    def factors(self, at: float, seconds: float) -> list[float]:
        """The shares of its capacity that a consumer had."""
        span = self.span(at, seconds)
        return [self.world.plant.capacity_factor(each) for each in range(span.start, span.stop, 15)]

    def crashed(self, at: float, more: float = 0.0) -> bool:
        """Whether a pod died."""
        lasts = self.world.plant.session_timeout_seconds + self.world.plant.pod_start_seconds
        return any(self.was(at, crash, crash + lasts, more) for crash, _ in self.world.plant.crashes)

    def was_out(self, at: float, more: float = 0.0) -> bool:
        """Whether nobody processed anything."""
        return any(self.was(at, start, start + seconds, more) for start, seconds in self.world.plant.outages)


Predicate = Callable[[Scene, float], bool]


def no_members(scene: Scene, at: float) -> bool:
    """None of our pods was at work.

    A group whose consumers assign partitions by hand is Empty: until two of their commits were seen, nobody can know.
    """
    world = scene.world
    unseen = 3 * (max(world.plant.commit_seconds, world.record_seconds) + world.policy.polling_interval_seconds)
    first = int(np.argmax(np.sum([topic.arrival for topic in world.topics if topic.reader == OURS], axis=0) > 0))
    if world.word(at) in NO_MEMBERS and at <= first + unseen + world.policy.lag_seconds:
        return True
    return bool((scene.played.ready[scene.span(at, scene.bearable)] == 0).any())


def replicas_not_joining(scene: Scene, at: float) -> bool:
    """Pods died, found no room, or were missing: for two minutes, and longer than a start usually takes.

    What is usual is known once a scale-up of the run had all of its pods.
    """
    if scene.crashed(at, 600) or any(scene.was(at, *each) for each in scene.world.pending):
        return True
    plant = scene.world.plant
    usual = 1.2 * (plant.pod_start_seconds + plant.pod_start_jitter) + scene.bearable
    is_known = any(each.after > each.before and each.at + usual <= at for each in scene.played.ours)
    span = scene.span(at, scene.bearable + 2 * usual)
    missing = _longest(scene.played.ready[span] < scene.played.replicas[span])
    return missing >= (max(120.0, usual) if is_known else 120.0)


def rebalance_storm(scene: Scene, at: float) -> bool:
    """Pods died within the last quarter of an hour; what we or others scale is no storm."""
    return scene.crashed(at, 900)


def stuck_partition(scene: Scene, at: float) -> bool:
    """A partition did not move though its owner lives: it is stuck, or nobody processes, or its owner died."""
    return scene.was_out(at) or scene.crashed(at) or any(
        scene.was(at, each.since, each.until) for each in scene.world.stuck)


def hot_partition(scene: Scene, at: float) -> bool:
    """One partition got nearly as much as a consumer can do."""
    factor = min(scene.factors(at, scene.bearable + 600))
    span = scene.span(at, scene.bearable + 600)
    heaviest = max(float(np.max(np.array(topic.arrival)[span])) * _largest(topic) for topic in scene.world.topics)
    return heaviest >= 0.9 * scene.world.per_consumer * factor


def slow_consumers(scene: Scene, at: float) -> bool:
    """A consumer does less than it did, or all share a bound."""
    return scene.world.plant.downstream_limit is not None or min(scene.factors(at, scene.bearable + 600)) < 0.85


def producer_spike(scene: Scene, at: float) -> bool:
    """More arrived of late than at some time before."""
    late = scene.span(at, scene.bearable + 600)
    return bool(scene.arrival[late].max() >= 1.25 * scene.arrival[:int(at)].min())


def at_max_replicas(scene: Scene, at: float) -> bool:
    """Half of `maxReplicas` would not do."""
    return 2 * _needed(scene, at) + 1 > scene.world.policy.max_replicas


def at_partition_limit(scene: Scene, at: float) -> bool:
    """Half of the replicas that can have a partition of a declared topic would not do."""
    names = frozenset(topic.name for topic in scene.world.topics)
    sizes = [topic.partitions for topic in scene.world.declared(names) if topic.reader == OURS]
    useful = max(sizes) if scene.world.plant.assignor == "range" else sum(sizes)
    strangers = sum(each.members for each in scene.world.outsiders if "orders" in each.topics)
    return 2 * _needed(scene, at) + 1 > (useful - strangers) / scene.world.plant.threads


def ineffective_scaling(scene: Scene, at: float) -> bool:
    """Something that replicas do not help held the consumers back within the last hour."""
    return scene.world.plant.downstream_limit is not None or min(scene.factors(at, 3600)) < 0.85


def records_lost(scene: Scene, at: float) -> bool:
    """Retention took unprocessed records within the last quarter of an hour."""
    lost = scene.played.lost[scene.span(at, scene.bearable + 600)]
    return bool(lost[-1] > lost[0])


def retention_risk(scene: Scene, at: float) -> bool:
    """Records are deleted within the run."""
    return scene.world.plant.retention_seconds < scene.world.seconds


def unread_partitions(scene: Scene, at: float) -> bool:
    """A topic that counts has no reader, or nobody of ours is at work."""
    names = frozenset(topic.name for topic in scene.world.topics)
    return no_members(scene, at) or any(topic.reader == NOBODY for topic in scene.world.declared(names))


def commit_beyond_end(scene: Scene, at: float) -> bool:
    """Commits are beyond the ends."""
    return any(each.committed > each.end for topic in scene.world.topics for each in topic.offsets)


def replicas_changed_by_others(scene: Scene, at: float) -> bool:
    """Somebody else wrote the replicas within the last hour."""
    return any(change.by_others and at - 3600 - scene.bearable <= change.at <= at for change in scene.played.changes)


def never(scene: Scene, at: float) -> bool:
    """No world has such a cause."""
    return False


TRUE: Mapping[str, Predicate] = {
    "NoMembers": no_members, "ReplicasNotJoining": replicas_not_joining, "RebalanceStorm": rebalance_storm,
    "StuckPartition": stuck_partition, "HotPartition": hot_partition, "SlowConsumers": slow_consumers,
    "ProducerSpike": producer_spike, "AtMaxReplicas": at_max_replicas, "AtPartitionLimit": at_partition_limit,
    "IneffectiveScaling": ineffective_scaling, "RecordsLost": records_lost, "RetentionRisk": retention_risk,
    "UnreadPartitions": unread_partitions, "CommitBeyondEnd": commit_beyond_end,
    "ReplicasChangedByOthers": replicas_changed_by_others, "HungTransaction": never, "TopicRecreated": never,
    "OffsetsExpiring": never, "BrokersSlow": never, "ThrottlingProducers": never, "AtQuotaFloor": never,
}
"""For each finding when it is true; a finding without an entry is a fault of this table."""


def _needed(scene: Scene, at: float) -> float:
    """Replicas' worth of work: what arrives, and what waits, to be done within `recoverySeconds`."""
    span = scene.span(at, scene.bearable + 300)
    factor = min(scene.factors(at, scene.bearable + 300))
    if not factor:
        return inf
    waits = float(scene.played.lag[span].max()) / scene.world.policy.recovery_seconds
    arrives = float(scene.arrival[span].max())
    each = scene.world.per_consumer * factor * scene.world.plant.threads
    limit = scene.world.plant.downstream_limit
    return inf if limit and arrives > 0.8 * limit else (arrives + waits) / each


def _largest(topic: Topic) -> float:
    return max(topic.weights) / sum(topic.weights) if topic.weights else 1.0 / topic.partitions


def _longest(flags: NDArray[np.bool_]) -> int:
    """The longest row of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _edges(world: World) -> list[float]:
    plant = world.plant
    capacity = [at for at, _ in plant.capacity_changes] + [at for start, lasts in plant.outages
                                                           for at in (start, start + lasts)]
    words = [at for word in world.words for at in (word.since, word.until)]
    resets = [] if world.resets is None else [world.resets.since, world.resets.until]
    crashes = [at for at, _ in plant.crashes]
    return [*world.changes, *world.moments(), *capacity, *words, *resets, *crashes]


def _loads(world: World, since: int, until: int) -> tuple[NDArray[np.float64], ...]:
    """The mean rates of the partitions that our consumers read; a batch in the first seconds is a backlog, no rate."""
    begin = since + 5 if until - since > 60 else since
    found = []
    for topic in world.topics:
        if topic.reader == OURS:
            weights = np.array(topic.weights or (1.0,) * topic.partitions)
            found.append(float(np.mean(topic.arrival[begin:until])) * weights / weights.sum())
    return tuple(found)
