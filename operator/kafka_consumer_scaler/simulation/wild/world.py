"""A simulated world: topics, their readers, and scheduled events. Times are in seconds, rates in records/s."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation.spec import PlantSpec

OURS = "ours"
"""Reader of topics to which the workload's own pods subscribe."""
NOBODY = ""
NO_MEMBERS = frozenset({"Empty", "Dead"})
"""Group states in which the coordinator lists no members."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """Initial offsets of one partition, in records.

    A commit beyond the end comes from another cluster: no consumer can continue from it, and it never changes.
    """

    partition: int
    start: int
    end: int
    committed: int


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the cluster.

    Args:
        name: its name.
        arrival: records/s in each second of the run.
        partitions: number of partitions.
        weights: relative share of the arrivals of each partition; 0 for an idle partition; empty for even shares.
        reader: the subscribers: `OURS`, `NOBODY`, or the name of outside members.
        committed: whether the group has committed offsets at the start; otherwise a partition is uncommitted until a
            member reads it.
        delay_seconds: consumers process a record only once it is this old.
        trailing: control records at the end of each partition, which are never committed.
        offsets: initial offsets of partitions that do not start at 0.
        in_step: all partitions receive records in the same seconds; by default they take turns.
    """

    name: str
    arrival: tuple[float, ...]
    partitions: int = 12
    weights: tuple[float, ...] = ()
    reader: str = OURS
    committed: bool = True
    delay_seconds: float = 0.0
    trailing: int = 0
    offsets: tuple[Offsets, ...] = ()
    in_step: bool = False


@dataclass(frozen=True, slots=True)
class OutsideMembers:
    """Group members of another workload, subscribed to `topics` from `since` to `until`."""

    name: str
    members: int
    topics: tuple[str, ...]
    since: float = 0.0
    until: float = inf


@dataclass(frozen=True, slots=True)
class ReportedState:
    """From `since` to `until` the coordinator reports `state`; Empty and Dead list no members."""

    state: str
    since: float = 0.0
    until: float = inf


@dataclass(frozen=True, slots=True)
class Stuck:
    """From `since` to `until` a partition makes no progress although its owner is alive."""

    topic: str
    partition: int
    since: float
    until: float = inf


@dataclass(frozen=True, slots=True)
class ExtraPods:
    """From `since` to `until` the workload has more pods than replicas: a canary or a stalled rollout."""

    pods: int
    since: float
    until: float = inf


@dataclass(frozen=True, slots=True)
class Resets:
    """Another writer sets `replicas` every `every` seconds, from `since` to `until`."""

    replicas: int
    every: float
    since: float = 0.0
    until: float = inf


@dataclass(frozen=True, slots=True)
class World:
    """A consumer group, its environment and the user's policy.

    Args:
        name: name of the case, or `world-SEED`.
        seed: seed for pod starts, commit phases and failed polls.
        topics: all relevant topics of the cluster.
        plant: pods, consumers and coordinator; `partitions` is the sum over all topics.
        policy: the policy of the user's manifest.
        outside_members: members of other workloads.
        assignor: the reported assignor name, where it differs from the plant's.
        reported_states: group states that the coordinator reports instead of the true ones.
        record_seconds: processing time of one record; 0 for a rate instead. If set, `plant.capacity` is ignored and
            each record is committed when it is finished.
        stuck: partitions that make no progress for some time.
        extra_pods: pods in addition to the replicas.
        resets: another writer of the replicas.
        pending: (since, until): pods requested in this time start at its end.
        changes: times at which the load changes, for the laws.
    """

    name: str
    seed: int
    topics: tuple[Topic, ...]
    plant: PlantSpec
    policy: Policy
    outside_members: tuple[OutsideMembers, ...] = ()
    assignor: str = ""
    reported_states: tuple[ReportedState, ...] = ()
    record_seconds: float = 0.0
    stuck: tuple[Stuck, ...] = ()
    extra_pods: tuple[ExtraPods, ...] = ()
    resets: Resets | None = None
    pending: tuple[tuple[float, float], ...] = ()
    changes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Validate the world. Raises ValueError with the name of the field."""
        lengths = {len(topic.arrival) for topic in self.topics}
        if len(lengths) != 1:
            raise ValueError(f"topics have arrivals of {sorted(lengths)} seconds, but must all have the same length")
        partitions = sum(topic.partitions for topic in self.topics)
        if self.plant.partitions != partitions:
            raise ValueError(f"plant.partitions is {self.plant.partitions}, but the topics have {partitions}")

    @property
    def seconds(self) -> int:
        """Length of the run."""
        return len(self.topics[0].arrival)

    @property
    def per_consumer(self) -> float:
        """Capacity of one healthy consumer, in records/s."""
        return 1.0 / self.record_seconds if self.record_seconds else self.plant.capacity

    def declared(self, has_offsets: frozenset[str]) -> tuple[Topic, ...]:
        """The topics that the operator monitors: named topics, matching topics, or topics with committed offsets."""
        policy = self.policy
        if policy.topic_pattern is not None:
            pattern = re.compile(policy.topic_pattern)
            return tuple(topic for topic in self.topics if pattern.fullmatch(topic.name))
        names = set(policy.topics) or has_offsets
        return tuple(topic for topic in self.topics if topic.name in names)

    def reported_state(self, at: float) -> str | None:
        """The group state that the coordinator reports at `at`; None for the true state."""
        return next((each.state for each in self.reported_states if each.since <= at < each.until), None)

    def extra_pods_at(self, at: float) -> int:
        """Number of pods in addition to the replicas at `at`."""
        return sum(each.pods for each in self.extra_pods if each.since <= at < each.until)

    def event_times(self) -> tuple[float, ...]:
        """Times at which outside members, stuck partitions, extra pods and pending pods begin or end, sorted."""
        outside = [(each.since, each.until) for each in self.outside_members]
        stuck = [(each.since, each.until) for each in self.stuck]
        extra = [(each.since, each.until) for each in self.extra_pods]
        pairs = [*self.pending, *outside, *stuck, *extra]
        return tuple(sorted({at for pair in pairs for at in pair if 0 < at < inf}))
