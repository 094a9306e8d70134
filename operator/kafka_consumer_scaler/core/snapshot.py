"""What Kafka and Kubernetes said at one moment. What was not said is `Unknown`, with the reason: never 0 or None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import NamedTuple

from kafka_consumer_scaler.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that could not be learned, why in words, and the reason under which it is reported."""

    why: str
    reason: Reason = Reason.METRICS_UNAVAILABLE


class TopicPartition(NamedTuple):
    """One partition of one topic; written `orders/0`. A tuple, since each poll hashes thousands of them."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """The group has no committed offset for the partition (never had, or it expired)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Offsets of one partition, in records.

    Args:
        end: log end offset, or last stable offset under read_committed; read after `committed`.
        committed: the group's committed offset.
        start: a lower bound of the log start offset; exact where the partition is uncommitted.
    """

    end: int
    committed: int | Uncommitted
    start: int = 0

    @property
    def is_possible(self) -> bool:
        """Whether a log can have these offsets: none is below 0, where Kafka's clients keep their signs for "none"."""
        return min(self.end, self.start, self.committed if isinstance(self.committed, int) else 0) >= 0


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the group and the partitions assigned to it."""

    id: str
    partitions: frozenset[TopicPartition] = frozenset()


INCREMENTAL_STATES = frozenset({"Assigning", "Reconciling"})
"""Of the consumer protocol, in which members go on with the partitions that they keep."""
REBALANCING_STATES = INCREMENTAL_STATES | {"PreparingRebalance", "CompletingRebalance"}


@dataclass(frozen=True, slots=True)
class Group:
    """The coordinator's view of the group.

    Args:
        state: Kafka's word: Stable, Empty, Dead, PreparingRebalance, CompletingRebalance, Assigning, Reconciling.
        assignor: the protocol's name, e.g. range, cooperative-sticky, uniform; empty while there are no members.
        members: the members, with their assignments where the group is stable.
        is_working: whether the members kept their assignments since the poll before and committed, whatever the state
            says. A consumer group may stay Reconciling for long because of one member, while the others work.
    """

    state: str
    assignor: str = ""
    members: tuple[Member, ...] = ()
    is_working: bool = False

    @property
    def is_rebalancing(self) -> bool:
        """Whether partitions are changing hands now, so that drain says nothing about capacity."""
        return self.state in REBALANCING_STATES and not self.is_working


@dataclass(frozen=True, slots=True)
class Replicas:
    """What the scale subresource says, and what is the matter with the pods.

    Args:
        spec: replicas asked for.
        existing: replicas that exist (not necessarily ready).
        trouble: what keeps pods from working, such as `2 of 6 pods in CrashLoopBackOff`; empty when nothing was seen,
            which is also so while nobody asked.
        changed_by: the field manager that wrote `spec` last, such as `argocd-controller`; asked only where the number
            is not the one that was expected, and empty where that could not be learned.
        start_seconds: from the creation of a pod to its being ready, the shortest of the present pods; None where that
            was not asked, or no pod shows it.
    """

    spec: int
    existing: int
    trouble: str = ""
    changed_by: str = ""
    start_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """What the brokers are asked once a minute or less often; what they did not tell is absent.

    Args:
        record_bytes: mean bytes of a record as it is stored, by topic.
        high_watermarks: offsets up to which records are replicated, whatever their transaction; under read_committed
            the end of a partition stays behind while a transaction is open.
        offsets_retention_seconds: for how long offsets of a group without members are kept.
        compacted: topics from which compaction takes records, so that not every offset has one.
        stretch: how many polling intervals apart the looks are; above 1 while the brokers answer slowly.
        leaders: the broker, by its id, that leads each partition; told only where quotas are in the policy.
    """

    record_bytes: Mapping[str, float] = field(default_factory=dict)
    high_watermarks: Mapping[TopicPartition, int] = field(default_factory=dict)
    offsets_retention_seconds: float | None = None
    compacted: frozenset[str] = frozenset()
    stretch: int = 1
    leaders: Mapping[TopicPartition, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A snapshot in which every partition is known; only these are counted with.

    Its columns have one value for each partition, in the order of `readings`. Each is made where it is first asked for
    and kept as long as the sample: a sample is compared with others in many decisions.
    """

    at: float
    readings: Mapping[TopicPartition, Reading]
    group: Group | Unknown
    details: Details = field(default_factory=Details)

    @cached_property
    def partitions(self) -> tuple[TopicPartition, ...]:
        """The names to which the columns belong."""
        return tuple(self.readings)

    def is_aligned(self, other: Sample) -> bool:
        """Whether both have the same partitions in the same order, so that columns compare place by place."""
        return self.partitions is other.partitions or self.partitions == other.partitions

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Log end offsets."""
        return tuple([reading.end for reading in self.readings.values()])

    def ends_of(self, other: Sample) -> Sequence[float]:
        """Log end offsets of the partitions of another sample, in its order; -inf where this one lacks one."""
        if self.is_aligned(other):
            return self.ends
        kept: tuple[tuple[TopicPartition, ...], Sequence[float]] = vars(self).get("_ends_of", ((), ()))
        partitions, found = kept
        if partitions != other.partitions:
            found = [-inf if (reading := self.readings.get(tp)) is None else reading.end for tp in other.partitions]
            vars(self)["_ends_of"] = (other.partitions, found)  # most decisions ask for the same
        return found

    @cached_property
    def commits(self) -> tuple[int | Uncommitted, ...]:
        """Committed offsets."""
        return tuple([reading.committed for reading in self.readings.values()])

    @cached_property
    def positions(self) -> tuple[int, ...] | None:
        """The first offset of each partition that is not processed; None where one of them was never committed."""
        found = [reading.committed if reading.committed > reading.start else reading.start
                 for reading in self.readings.values() if isinstance(reading.committed, int)]
        return tuple(found) if len(found) == len(self.readings) else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was read about one group at `at` (seconds).

    `partitions` is Unknown when nothing could be read; a single partition is Unknown when its leader did not answer.
    """

    at: float
    partitions: Mapping[TopicPartition, Reading | Unknown] | Unknown
    group: Group | Unknown = field(default_factory=lambda: Unknown("the group was not described"))
    details: Details = field(default_factory=Details)

    def complete(self) -> Sample | Unknown:
        """The sample, or the first thing that makes this snapshot unfit for decisions."""
        if isinstance(self.partitions, Unknown):
            return self.partitions
        if not self.partitions:
            return Unknown("no partitions were read")
        readings = {tp: reading for tp, reading in self.partitions.items()
                    if isinstance(reading, Reading) and reading.is_possible}
        missing = sorted(self.partitions.keys() - readings.keys())
        if not missing:
            return Sample(self.at, readings, self.group, self.details)
        first = self.partitions[missing[0]]
        why = first.why if isinstance(first, Unknown) else f"an offset below 0 was told: {first}"
        text = f"{len(missing)} of {len(self.partitions)} partitions unknown, first {missing[0]}: {why}"
        return Unknown(text, Reason.METRICS_PARTIAL)
