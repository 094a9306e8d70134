"""The state of the backlog in one word, and the partitions that more consumers cannot help."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import Rates, commit_interval_seconds
from kafka_consumer_scaler.core.snapshot import Group, Sample, TopicPartition, Uncommitted, Unknown

CAUGHT_UP_SHARE = 0.3
STUCK_COMMIT_INTERVALS = 3
STUCK_SECONDS_AT_LEAST = 60.0
NEVER_COMMITS_SECONDS = 60.0
"""Members that have read for this long and committed nothing will not commit."""
STUCK_SECONDS_UNSEEN = 300.0
"""Kafka's default max.poll.interval.ms: who heartbeats this long without a commit is alive and does not progress."""


class Backlog(StrEnum):
    """Where the group stands. `Behind` is a backlog that does not shrink; `Stalled` one whose offsets do not move."""

    CAUGHT_UP = "CaughtUp"
    DRAINING = "Draining"
    BEHIND = "Behind"
    STALLED = "Stalled"
    REWOUND = "Rewound"
    UNKNOWN = "Unknown"


def backlog(history: History, policy: Policy, age: float | Unknown, rates: Rates) -> Backlog:
    """The state; caught up means that the oldest record has used under 0.3 of the objective."""
    if isinstance(age, Unknown):
        return Backlog.UNKNOWN
    if age <= CAUGHT_UP_SHARE * policy.lag_seconds:
        return Backlog.CAUGHT_UP
    if history.rewound_at is not None and history.rewound_at >= history.drain_since:
        return Backlog.REWOUND
    if rates.drain == 0:
        return Backlog.STALLED
    if isinstance(rates.drain, Unknown) or isinstance(rates.arrival, Unknown):
        return Backlog.BEHIND
    return Backlog.DRAINING if rates.drain > rates.arrival else Backlog.BEHIND


def stuck_partitions(history: History, policy: Policy, lag: Mapping[TopicPartition, int]) -> frozenset[TopicPartition]:
    """Partitions with lag whose member is alive and whose committed offset has not moved for three commit intervals."""
    suspects = [tp for tp in _alive(history) if lag.get(tp, 0) > 0 and _unmoved_seconds(history, tp) > 0]
    if not suspects:
        return frozenset()
    patience = _patience_seconds(history, policy)
    return frozenset(tp for tp in suspects if _unmoved_seconds(history, tp) >= patience)


def uncommitted_seconds(history: History) -> float | None:
    """For how long members have had partitions while no offset was committed; None when that is not so now."""
    since = None
    for sample in reversed(history.samples):
        if not _only_reads(sample):
            break
        since = sample.at
    return None if since is None else history.samples[-1].at - since


def _only_reads(sample: Sample) -> bool:
    has_members = isinstance(sample.group, Group) and any(member.partitions for member in sample.group.members)
    return has_members and all(isinstance(reading.committed, Uncommitted) for reading in sample.readings.values())


def _alive(history: History) -> frozenset[TopicPartition]:
    group = history.samples[-1].group
    if isinstance(group, Unknown) or group.is_rebalancing:
        return frozenset()
    return frozenset(tp for member in group.members for tp in member.partitions)


def _patience_seconds(history: History, policy: Policy) -> float:
    """Commits every 5 s, polls every 15 s: max(60, 3 * 15, 3 * 15) = 60 s. Commits every 60 s: 180 s."""
    interval = commit_interval_seconds(history)
    polls = STUCK_COMMIT_INTERVALS * policy.polling_interval_seconds
    if isinstance(interval, Unknown):
        return max(STUCK_SECONDS_UNSEEN, polls)
    return max(STUCK_SECONDS_AT_LEAST, STUCK_COMMIT_INTERVALS * interval, polls)


def _unmoved_seconds(history: History, tp: TopicPartition) -> float:
    """Seconds for which the committed offset stayed and lag was there in every sample."""
    newest = history.samples[-1]
    since = newest.at
    for sample in reversed(history.samples):
        if not _waits_at(sample, tp, newest):
            break
        since = sample.at
    return newest.at - since


def _waits_at(sample: Sample, tp: TopicPartition, newest: Sample) -> bool:
    reading = sample.readings.get(tp)
    if reading is None or reading.committed != newest.readings[tp].committed:
        return False
    return not isinstance(reading.committed, int) or reading.end > reading.committed
