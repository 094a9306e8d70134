"""Lag by topic, or by partition where that is asked for: a bounded number of series, whatever a group reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import TopicPartition, Unknown

SHOWN_AT_MOST = 1000
"""Topics, or partitions, of one resource that have series of their own."""
OTHERS = "(others)"
"""Topic and partition of the row that has the rest; Kafka allows no topic of this name."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Lag of one topic or partition: its labels, the records, and the age of the oldest in seconds, if known."""

    labels: Key
    records: int
    seconds: float | None


def rows(situation: Situation, per_partition: bool) -> tuple[Row, ...]:
    """A row for each topic or partition, in their order, and one with what is beyond the first 1,000.

    The order is that of names and numbers, not of lag: else series would come and go with the lag, without bound.
    """
    groups: dict[Key, list[TopicPartition]] = defaultdict(list)
    for tp in sorted(situation.lag):
        groups[_free(groups, _key(tp, per_partition))].append(tp)
    return tuple(_row(key, group, situation) for key, group in groups.items())


def record_bytes(situation: Situation) -> Mapping[str, float]:
    """Mean stored bytes of a record, for each of the first 1,000 topics of which it is known."""
    sizes = situation.details.record_bytes
    shown = sorted({tp.topic for tp in situation.lag} & sizes.keys())[:SHOWN_AT_MOST]
    return {topic: sizes[topic] for topic in shown}


def _key(tp: TopicPartition, per_partition: bool) -> Key:
    return (tp.topic, str(tp.partition)) if per_partition else (tp.topic,)


def _free(taken: Mapping[Key, object], key: Key) -> Key:
    return key if key in taken or len(taken) < SHOWN_AT_MOST else (OTHERS,) * len(key)


def _row(key: Key, group: Iterable[TopicPartition], situation: Situation) -> Row:
    group = tuple(group)
    return Row(key, sum(situation.lag[tp] for tp in group), _oldest(situation.ages[tp] for tp in group))


def _oldest(ages: Iterable[float | Unknown]) -> float | None:
    """None when one is unknown: it may be the oldest."""
    told = tuple(ages)
    known = [age for age in told if not isinstance(age, Unknown)]
    return max(known) if len(known) == len(told) else None
