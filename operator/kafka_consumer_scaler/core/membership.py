"""Who is in the group, for how long nobody was, who came and went, and which transactions hold its partitions up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.snapshot import Group, Sample, TopicPartition

UNREST_SECONDS = 600.0
"""Members that came and went within this time are counted."""
REBALANCING_SECONDS = 300.0
REBALANCING_SAMPLES = 10
REBALANCING_SECONDS_AT_LEAST = 120.0
"""So many looks, over so long, and the share of them that saw a rebalance, tell whether the group ever settles."""
HUNG_SECONDS = 180.0
"""Three times Kafka's default transaction.timeout.ms: an open transaction as old as this was forgotten."""


@dataclass(frozen=True, slots=True)
class Hung:
    """A partition whose last stable offset stands still: `records` wait behind an open transaction for `seconds`."""

    records: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Unrest:
    """How restless a group was of late.

    Args:
        left: members that came and went within ten minutes, our own scale-downs included.
        rebalancing: share of the looks of the last five minutes that saw a rebalance; 0 while they were few, or of less
            than two minutes.
        again: how many of them had come after the first of them had gone. A rollout replaces each pod once, a b c by
            d e f: 3 left, 0 again. Of one that comes and goes, as a, b and c: 3 left, 2 again.
    """

    left: int = 0
    rebalancing: float = 0.0
    again: int = 0


def memberless_seconds(history: History) -> float:
    """For how long, up to the latest sample, the group was seen without any member; 0 when it has some."""
    newest = history.samples[-1]
    since = newest.at
    for sample in reversed(history.samples):
        if not isinstance(sample.group, Group) or sample.group.members:
            break
        since = sample.at
    return newest.at - since


def unrest(history: History) -> Unrest:
    """How restless the group was, up to the latest sample."""
    newest = history.samples[-1].at
    lives = [(joined_at, left_at) for joined_at, left_at in history.left if left_at - joined_at <= UNREST_SECONDS
             and newest - left_at <= UNREST_SECONDS]
    first_left_at = min((left_at for _, left_at in lives), default=newest)
    left, again = len(lives), sum(1 for joined_at, _ in lives if joined_at >= first_left_at)
    looks = [(sample.at, sample.group) for sample in history.since(newest - REBALANCING_SECONDS)
             if isinstance(sample.group, Group)]
    if len(looks) < REBALANCING_SAMPLES or newest - looks[0][0] < REBALANCING_SECONDS_AT_LEAST:
        return Unrest(left, again=again)
    return Unrest(left, sum(group.is_rebalancing for _, group in looks) / len(looks), again)


def hung_transactions(history: History) -> Mapping[TopicPartition, Hung]:
    """Partitions on which a transaction has been open for so long that it hangs.

    Under read_committed the end is the last stable offset. It stands still while the first open transaction does; a
    partition at rest has nothing above it, so records above an end that stands still wait for a transaction.
    """
    newest = history.samples[-1]
    found = {}
    for tp, high in newest.details.high_watermarks.items():
        seconds = _open_seconds(history, tp)
        if seconds >= HUNG_SECONDS:
            found[tp] = Hung(high - newest.readings[tp].end, seconds)
    return found


def _open_seconds(history: History, tp: TopicPartition) -> float:
    newest = history.samples[-1]
    since = newest.at
    for sample in reversed(history.samples):
        if not _is_held(sample, newest, tp):
            break
        since = sample.at
    return newest.at - since


def _is_held(sample: Sample, newest: Sample, tp: TopicPartition) -> bool:
    reading, now = sample.readings.get(tp), newest.readings.get(tp)
    high = sample.details.high_watermarks.get(tp)
    return reading is not None and now is not None and high is not None and reading.end == now.end < high
