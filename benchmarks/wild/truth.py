"""The ground truth of a world: which replicas keep up, and which causes of findings exist.

The busiest consumer is the worst case of an assignor: with P partitions and m consumers it has the ceil(P / m)
heaviest partitions; under range, the ceil(P / m) heaviest of each topic.
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
"""Minimum time by which a finding may outlast its cause: it is kept for a minute or three polls, and polls may fail."""
SMOOTH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a run without a change of the world; `loads` has the mean arrival rate of each partition, by topic."""

    since: int
    until: int
    loads: tuple[NDArray[np.float64], ...]

    @property
    def total(self) -> float:
        """Arrival rate of all partitions that our consumers read, in records/s."""
        return float(sum(load.sum() for load in self.loads))


def segments(world: World) -> list[Segment]:
    """The parts of a run between changes of the world."""
    edges = sorted({0, world.seconds, *(int(at) for at in _edges(world) if 0 < at < world.seconds)})
    return [Segment(since, until, _loads(world, since, until)) for since, until in pairwise(edges)]


def reaction_seconds(world: World) -> float:
    """Time from a change of the load until new replicas process records, in seconds.

    Six polls and a minute to measure, three commits and three records to see the drain, the scale-up cooldown, a pod
    start, two rebalances, and the session timeout if pods crash.
    """
    plant, policy = world.plant, world.policy
    return (6 * policy.polling_interval_seconds + 60 + 3 * plant.commit_seconds + 3 * world.record_seconds
            + policy.scale_up.cooldown_seconds + plant.pod_start_seconds + plant.pod_start_jitter
            + 2 * plant.rebalance_seconds + (plant.session_timeout_seconds if plant.crashes else 0))


def busiest(world: World, segment: Segment, replicas: int) -> float:
    """Utilization of the busiest consumer (load / capacity); above 1 it cannot keep up."""
    factor = world.plant.capacity_factor(segment.since)
    consumers = (replicas + world.extra_pods_at(segment.since)) * world.plant.threads
    consumers += sum(each.members for each in world.outside_members
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
    """The fewest replicas within the user's bounds with a utilization of at most `share`; None if there are none."""
    policy = world.policy
    for replicas in range(policy.min_replicas, policy.max_replicas + 1):
        if busiest(world, segment, replicas) <= share:
            return replicas
    return None


@dataclass(frozen=True)
class Scene:
    """The ground truth of a run; a cause counts at `at` if it exists or ended within `tolerance_seconds`."""

    played: Played

    @property
    def world(self) -> World:
        """The simulated world."""
        return self.played.world

    @cached_property
    def arrival(self) -> NDArray[np.float64]:
        """Arrival rate of all topics in records/s, averaged over a minute."""
        total = np.sum([topic.arrival for topic in self.world.topics], axis=0)
        sums = np.concatenate(([0.0], np.cumsum(total)))
        upto = np.arange(1, len(sums))
        since = np.maximum(0, upto - SMOOTH_SECONDS)
        smooth: NDArray[np.float64] = (sums[upto] - sums[since]) / (upto - since)
        return smooth

    @property
    def tolerance_seconds(self) -> float:
        """Time by which a finding may outlast its cause, in seconds: until polls and commits show the end."""
        world = self.world
        return (KEPT_SECONDS + 6 * world.policy.polling_interval_seconds + 3 * world.plant.commit_seconds
                + 3 * world.record_seconds + world.plant.rebalance_seconds)

    def span(self, at: float, seconds: float) -> slice:
        """The seconds of the run from `at - seconds` to `at`."""
        return slice(max(0, int(at - seconds)), max(1, int(at)))

    def counts(self, at: float, since: float, until: float, more: float = 0.0) -> bool:
        """Whether a cause from `since` to `until` counts at `at`; `more` extends the tolerance, in seconds."""
        return since <= at and until >= at - self.tolerance_seconds - more

    def factors(self, at: float, seconds: float) -> list[float]:
        """The capacity factors of consumers in the last `seconds`."""
        span = self.span(at, seconds)
        return [self.world.plant.capacity_factor(each) for each in range(span.start, span.stop, 15)]

    def crashed(self, at: float, more: float = 0.0) -> bool:
        """Whether a pod crashed."""
        lasts = self.world.plant.session_timeout_seconds + self.world.plant.pod_start_seconds
        return any(self.counts(at, crash, crash + lasts, more) for crash, _ in self.world.plant.crashes)

    def was_out(self, at: float, more: float = 0.0) -> bool:
        """Whether there was an outage of all consumers."""
        return any(self.counts(at, start, start + seconds, more) for start, seconds in self.world.plant.outages)


Predicate = Callable[[Scene, float], bool]


def no_members(scene: Scene, at: float) -> bool:
    """None of our pods was ready.

    A group with manually assigned partitions is Empty. Its consumers are inferred after two observed commits, and the
    finding stays true until then.
    """
    world = scene.world
    unseen = 3 * (max(world.plant.commit_seconds, world.record_seconds) + world.policy.polling_interval_seconds)
    first = int(np.argmax(np.sum([topic.arrival for topic in world.topics if topic.reader == OURS], axis=0) > 0))
    if world.reported_state(at) in NO_MEMBERS and at <= first + unseen + world.policy.lag_seconds:
        return True
    return bool((scene.played.ready[scene.span(at, scene.tolerance_seconds)] == 0).any())


def replicas_not_joining(scene: Scene, at: float) -> bool:
    """Pods crashed, were unschedulable, or were missing for two minutes and longer than the usual start time.

    The usual start time is known once a scale-up of the run was complete.
    """
    if scene.crashed(at, 600) or any(scene.counts(at, *each) for each in scene.world.pending):
        return True
    plant = scene.world.plant
    usual = 1.2 * (plant.pod_start_seconds + plant.pod_start_jitter) + scene.tolerance_seconds
    is_known = any(each.after > each.before and each.at + usual <= at for each in scene.played.ours)
    span = scene.span(at, scene.tolerance_seconds + 2 * usual)
    missing = _longest(scene.played.ready[span] < scene.played.replicas[span])
    return missing >= (max(120.0, usual) if is_known else 120.0)


def rebalance_storm(scene: Scene, at: float) -> bool:
    """Pods crashed within the last 15 minutes; scaling by us or others does not count."""
    return scene.crashed(at, 900)


def stuck_partition(scene: Scene, at: float) -> bool:
    """A partition made no progress: it is stuck, there was an outage, or its owner crashed."""
    return scene.was_out(at) or scene.crashed(at) or any(
        scene.counts(at, each.since, each.until) for each in scene.world.stuck)


def hot_partition(scene: Scene, at: float) -> bool:
    """The arrival rate of one partition is at least 0.9 of a consumer's capacity."""
    factor = min(scene.factors(at, scene.tolerance_seconds + 600))
    span = scene.span(at, scene.tolerance_seconds + 600)
    heaviest = max(float(np.max(np.array(topic.arrival)[span])) * _largest(topic) for topic in scene.world.topics)
    return heaviest >= 0.9 * scene.world.per_consumer * factor


def slow_consumers(scene: Scene, at: float) -> bool:
    """The capacity per consumer dropped, or there is a shared downstream limit."""
    factor = min(scene.factors(at, scene.tolerance_seconds + 600))
    return scene.world.plant.downstream_limit is not None or factor < 0.85


def producer_spike(scene: Scene, at: float) -> bool:
    """The recent peak arrival rate is at least 1.25 times the lowest before."""
    late = scene.span(at, scene.tolerance_seconds + 600)
    return bool(scene.arrival[late].max() >= 1.25 * scene.arrival[:int(at)].min())


def at_max_replicas(scene: Scene, at: float) -> bool:
    """Half of `maxReplicas` is not enough."""
    return 2 * _needed(scene, at) + 1 > scene.world.policy.max_replicas


def at_partition_limit(scene: Scene, at: float) -> bool:
    """Half of the useful replicas (by partitions of the monitored topics) is not enough."""
    names = frozenset(topic.name for topic in scene.world.topics)
    sizes = [topic.partitions for topic in scene.world.declared(names) if topic.reader == OURS]
    useful = max(sizes) if scene.world.plant.assignor == "range" else sum(sizes)
    outside = sum(each.members for each in scene.world.outside_members if "orders" in each.topics)
    return 2 * _needed(scene, at) + 1 > (useful - outside) / scene.world.plant.threads


def ineffective_scaling(scene: Scene, at: float) -> bool:
    """Within the last hour, consumers were slowed by something that more replicas do not help."""
    return scene.world.plant.downstream_limit is not None or min(scene.factors(at, 3600)) < 0.85


def records_lost(scene: Scene, at: float) -> bool:
    """Retention deleted unprocessed records within the last 10 minutes and the tolerance."""
    lost = scene.played.lost[scene.span(at, scene.tolerance_seconds + 600)]
    return bool(lost[-1] > lost[0])


def retention_risk(scene: Scene, at: float) -> bool:
    """Retention is shorter than the run."""
    return scene.world.plant.retention_seconds < scene.world.seconds


def unread_partitions(scene: Scene, at: float) -> bool:
    """A monitored topic has no reader, or no pod of ours was ready."""
    names = frozenset(topic.name for topic in scene.world.topics)
    return no_members(scene, at) or any(topic.reader == NOBODY for topic in scene.world.declared(names))


def commit_beyond_end(scene: Scene, at: float) -> bool:
    """A commit is beyond its end offset."""
    return any(each.committed > each.end for topic in scene.world.topics for each in topic.offsets)


def replicas_changed_by_others(scene: Scene, at: float) -> bool:
    """Another writer changed the replicas within the last hour."""
    since = at - 3600 - scene.tolerance_seconds
    return any(change.by_others and since <= change.at <= at for change in scene.played.changes)


def never(scene: Scene, at: float) -> bool:
    """No world has this cause."""
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
"""The condition under which each finding is true; a finding without an entry is an error."""


def _needed(scene: Scene, at: float) -> float:
    """Replicas needed for the arrivals and for draining the backlog within `recoverySeconds`."""
    span = scene.span(at, scene.tolerance_seconds + 300)
    factor = min(scene.factors(at, scene.tolerance_seconds + 300))
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
    """Length of the longest run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _edges(world: World) -> list[float]:
    plant = world.plant
    capacity = [at for at, _ in plant.capacity_changes] + [at for start, lasts in plant.outages
                                                           for at in (start, start + lasts)]
    states = [at for each in world.reported_states for at in (each.since, each.until)]
    resets = [] if world.resets is None else [world.resets.since, world.resets.until]
    crashes = [at for at, _ in plant.crashes]
    return [*world.changes, *world.event_times(), *capacity, *states, *resets, *crashes]


def _loads(world: World, since: int, until: int) -> tuple[NDArray[np.float64], ...]:
    """Mean arrival rate of the partitions that our consumers read; a batch in the first 5 s is a backlog only."""
    begin = since + 5 if until - since > 60 else since
    found = []
    for topic in world.topics:
        if topic.reader == OURS:
            weights = np.array(topic.weights or (1.0,) * topic.partitions)
            found.append(float(np.mean(topic.arrival[begin:until])) * weights / weights.sum())
    return tuple(found)
