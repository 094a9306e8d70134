"""The question to a cluster and its answer, one of each for a group. No Kafka client is needed to hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kafka_consumer_scaler.core.policy import IsolationLevel, OffsetReset
from kafka_consumer_scaler.core.snapshot import Details, Group, Reading, TopicPartition, Unknown


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """Which partitions of a group to read.

    Args:
        group: the consumer group's id.
        topics: topics by name; empty means every topic that the group has offsets for.
        topic_pattern: topics whose whole name matches this regular expression; excludes `topics`.
        offset_reset: the consumers' `auto.offset.reset`.
        isolation_level: up to where end offsets are read.
        with_leaders: whether the brokers that lead the partitions are to be told: few need it, and it is much to keep.
    """

    group: str
    topics: tuple[str, ...] = ()
    topic_pattern: str | None = None
    offset_reset: OffsetReset = OffsetReset.LATEST
    isolation_level: IsolationLevel = IsolationLevel.READ_COMMITTED
    with_leaders: bool = False


@dataclass(frozen=True, slots=True)
class GroupSample:
    """What Kafka said about a group: offsets in records by partition, and the coordinator's view."""

    partitions: Mapping[TopicPartition, Reading | Unknown] | Unknown
    group: Group | Unknown
    details: Details = field(default_factory=Details)

    @classmethod
    def unknown(cls, unknown: Unknown) -> GroupSample:
        """Nothing could be read, for one reason."""
        return cls(unknown, unknown)
