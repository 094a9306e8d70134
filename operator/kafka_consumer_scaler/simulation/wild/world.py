"""What a world is: the topics, whose members read them, what happens when. Times are seconds, rates records/s."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation.spec import PlantSpec

OURS = "ours"
"""The reader of a topic that the workload's own pods subscribe to."""
NOBODY = ""
NO_MEMBERS = frozenset({"Empty", "Dead"})
"""The coordinator's words with which it lists no members."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where one partition is at the start of a run, in records.

    A commit beyond the end is that of another cluster: nobody can read on from there, and the commit stays.
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
        partitions: how many it has.
        weights: relative shares of the arrivals, one for each partition; 0 is a partition at rest; empty means even.
        reader: whose members subscribe to it: `OURS`, `NOBODY`, or the name of outsiders.
        committed: whether the group has offsets for it at the start; without them each partition is uncommitted until
            somebody reads it.
        delay_seconds: a consumer holds each record back until it is this old.
        trailing: control records at the end of each partition, which nobody commits.
        offsets: partitions that do not start at 0.
        in_step: each partition gets its records at the same moments as the others, where usually they take turns.
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
class Outsiders:
    """Members of the group that are not the workload's: there from `since` to `until`, subscribed to `topics`."""

    name: str
    members: int
    topics: tuple[str, ...]
    since: float = 0.0
    until: float = inf


@dataclass(frozen=True, slots=True)
class Word:
    """From `since` to `until` the coordinator calls the group `state`; Empty and Dead come without members."""

    state: str
    since: float = 0.0
    until: float = inf


@dataclass(frozen=True, slots=True)
class Stuck:
    """From `since` to `until` the owner of a partition gets no further with it and is alive."""

    topic: str
    partition: int
    since: float
    until: float = inf


@dataclass(frozen=True, slots=True)
class Extra:
    """From `since` to `until` the workload has so many pods beyond its replicas: a canary, a rollout that hangs."""

    pods: int
    since: float
    until: float = inf


@dataclass(frozen=True, slots=True)
class Resets:
    """Somebody else writes `replicas` every `every` seconds, from `since` to `until`."""

    replicas: int
    every: float
    since: float = 0.0
    until: float = inf


@dataclass(frozen=True, slots=True)
class World:
    """A group as a whole, and the wishes of its user.

    Args:
        name: of its kind.
        seed: of pods, beats of commits and failed polls.
        topics: all topics of the cluster that matter.
        plant: pods, consumers and coordinator; `partitions` counts those of all topics.
        policy: what the user declares.
        outsiders: members that are not ours.
        assignor: the assignor's name that is reported where it is not the plant's.
        words: what the coordinator says of the group where it is not so.
        record_seconds: how long a consumer works at one record, where that is counted in records: then
            `plant.capacity` counts for nothing, and each record is committed when it is done.
        stuck: partitions that do not move for a while.
        extra: pods beyond the replicas.
        resets: somebody else who writes the replicas.
        pending: (since, until): pods asked for in this time start at its end.
        changes: when something changed that the operator has to answer, for judging.
    """

    name: str
    seed: int
    topics: tuple[Topic, ...]
    plant: PlantSpec
    policy: Policy
    outsiders: tuple[Outsiders, ...] = ()
    assignor: str = ""
    words: tuple[Word, ...] = ()
    record_seconds: float = 0.0
    stuck: tuple[Stuck, ...] = ()
    extra: tuple[Extra, ...] = ()
    resets: Resets | None = None
    pending: tuple[tuple[float, float], ...] = ()
    changes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse worlds that cannot be: a ValueError that names the field."""
        lengths = {len(topic.arrival) for topic in self.topics}
        if len(lengths) != 1:
            raise ValueError(f"topics have arrivals of {sorted(lengths)} seconds, one length is needed")
        partitions = sum(topic.partitions for topic in self.topics)
        if self.plant.partitions != partitions:
            raise ValueError(f"plant.partitions is {self.plant.partitions} and the topics have {partitions}")

    @property
    def seconds(self) -> int:
        """How long the run takes."""
        return len(self.topics[0].arrival)

    @property
    def per_consumer(self) -> float:
        """Records/s that one consumer processes when nothing is the matter."""
        return 1.0 / self.record_seconds if self.record_seconds else self.plant.capacity

    def declared(self, has_offsets: frozenset[str]) -> tuple[Topic, ...]:
        """The topics whose partitions are read: those named, those that match, or those the group has offsets for."""
        policy = self.policy
        if policy.topic_pattern is not None:
            pattern = re.compile(policy.topic_pattern)
            return tuple(topic for topic in self.topics if pattern.fullmatch(topic.name))
        names = set(policy.topics) or has_offsets
        return tuple(topic for topic in self.topics if topic.name in names)

    def word(self, at: float) -> str | None:
        """What the coordinator calls the group at `at`; None where it tells the truth."""
        return next((word.state for word in self.words if word.since <= at < word.until), None)

    def extra_pods(self, at: float) -> int:
        """Pods beyond the replicas at `at`."""
        return sum(each.pods for each in self.extra if each.since <= at < each.until)

    def moments(self) -> tuple[float, ...]:
        """When something happens that is not of the group's own making, sorted."""
        pairs = [*self.pending, *((each.since, each.until) for each in self.outsiders),
                 *((each.since, each.until) for each in self.stuck), *((each.since, each.until) for each in self.extra)]
        return tuple(sorted({at for pair in pairs for at in pair if 0 < at < inf}))
