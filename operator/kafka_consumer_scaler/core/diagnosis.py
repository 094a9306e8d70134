"""The state of the backlog in one word, and the partitions that more consumers cannot help, with what would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from math import inf
from operator import ge

from kafka_consumer_scaler.core.capacity import Rates
from kafka_consumer_scaler.core.commits import commit_interval_seconds, likely_commit_interval, longest_of_guessed
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import IDLE_LAG, committed, position
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import INCREMENTAL_STATES, Group, Sample, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.core.waiting import turn_seconds

CAUGHT_UP_SHARE = 0.3
STUCK_COMMIT_INTERVALS = 3
STUCK_SECONDS_AT_LEAST = 60.0
NEVER_COMMITS_SECONDS = 60.0
"""Members that have read for this long and committed nothing will not commit."""
STUCK_SECONDS_WHOLE_TOPIC = 1800.0
"""A topic that stands still as a whole, or a partition in a rebalance in which others work on, may be waiting."""
STUCK_SECONDS_UNSEEN = 300.0
"""Kafka's default max.poll.interval.ms: who heartbeats this long without a commit is alive and does not progress."""


NONE_HELD: Mapping[str, float] = {}
HOT_SHARE = 1.0
"""Arrival of a partition, as a share of one consumer's capacity, beyond which no number of consumers can keep up."""
HOT_SKEW = 1.5
"""A hot partition also gets this many times an even share: else the load as a whole is too large."""
RETENTION_WATCHED_SECONDS = 120.0
"""Log starts are asked for once a minute, so a rate of deletion needs two."""
RETENTION_SECONDS = 900.0
"""A record that will be deleted within this time, before the group reaches it, is at risk."""
BEYOND_SECONDS = 60.0
"""Of commits beyond the end, before they are reported: high watermarks are asked for once a minute."""
LOST_SECONDS = 300.0
"""A loss is over once the log start has not moved for so long: log starts are asked for once a minute."""
RECREATED_SECONDS = 600.0
"""For how long it is told that a topic was recreated."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause or risk that was found: its name, the evidence in numbers, and what would help."""

    reason: Reason
    evidence: str
    remedy: str


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
    return Backlog.DRAINING if rates.drain > rates.arrival.average else Backlog.BEHIND


def hot_partitions(shares: tuple[Mapping[TopicPartition, float], Mapping[TopicPartition, float]],
                   rates: Rates) -> frozenset[TopicPartition]:
    """Partitions that get more than one consumer can process, in the window or in the last interval.

    More consumers cannot help them. 500 records/s on 12 partitions, one gets 0.3 of them, and a consumer processes 100:
    150 > 100 and 0.3 > 1.5 / 12. `shares` are those of the window and of the last interval.
    """
    if isinstance(rates.arrival, Unknown) or isinstance(rates.capacity, Unknown) or not rates.capacity.learned:
        return frozenset()
    limit = HOT_SHARE * rates.capacity.per_consumer
    spans = zip(shares, (rates.arrival.average, rates.arrival.newest), strict=True)
    return frozenset(tp for span, rate in spans for tp, share in span.items()
                     if share * rate > limit and share > HOT_SKEW / len(span))


def retention_risk(history: History, policy: Policy) -> tuple[TopicPartition, float] | None:
    """The partition whose oldest unprocessed record is deleted first, and in how many seconds; None without a risk.

    Retention moves the log start; the group runs from it. 30,000 records ahead of it, 150 a second deleted and 100
    processed: 30,000 / (150 - 100) = 600 s. What was passed already is lost now: 0 s.
    """
    first = history.samples[0].readings
    moved = [tp for tp, now in history.samples[-1].readings.items()
             if (before := first.get(tp)) is None or before.start != now.start]
    left = ((tp, _seconds_left(history, policy, tp)) for tp in moved)
    found = [(tp, seconds) for tp, seconds in left if seconds is not None]
    soonest = min(found, key=lambda each: each[1], default=None)
    return soonest if soonest is not None and soonest[1] <= RETENTION_SECONDS else None


def lost_records(history: History) -> Mapping[TopicPartition, int]:
    """Records that were deleted before the group processed them, while it was watched: at least so many, by partition.

    Committed 40, and the log start goes from 30 to 100: 60 are lost. A loss is over once the log start has stood still
    for LOST_SECONDS; one from before the first sample is not reported. A single record is the marker that ends a
    transaction: its offset is not committed, and is deleted like the others.
    """
    newest = history.samples[-1]
    behind = {tp: reading.start - reading.committed for tp, reading in newest.readings.items()
              if isinstance(reading.committed, int) and reading.start - reading.committed > IDLE_LAG}
    if not behind:
        return {}
    earlier = next((sample for sample in history.samples if newest.at - sample.at <= LOST_SECONDS), newest)
    found = {}
    for tp, lost in behind.items():
        before = earlier.readings.get(tp)
        if before is not None and newest.readings[tp].start > before.start:
            found[tp] = lost
    return found


def commits_beyond_end(history: History) -> Mapping[TopicPartition, tuple[int, int]]:
    """Partitions whose committed offset lies beyond an end that was read later: (committed, end).

    No consumer of this log can have committed it: the offsets are another cluster's, or the log lost its end. One
    that reads uncommitted records may commit beyond the last stable offset, up to the high watermark. A topic that was
    seen to be recreated has a finding of its own. Reported once every sample of BEYOND_SECONDS saw it.
    """
    newest = history.samples[-1]
    if newest.positions is not None and all(map(ge, newest.ends, newest.positions)):
        return {}
    found = {tp: (reading.committed, reading.end) for tp, reading in newest.readings.items()
             if isinstance(reading.committed, int) and _is_beyond(newest, tp)}
    recreated = recreated_topics(history) if found else frozenset()
    for sample in reversed(history.samples[:-1]):
        found = {tp: pair for tp, pair in found.items() if tp.topic not in recreated and _is_beyond(sample, tp)}
        if not found:
            return {}
        if newest.at - sample.at >= BEYOND_SECONDS:
            return found
    return {}


def _is_beyond(sample: Sample, tp: TopicPartition) -> bool:
    reading = sample.readings.get(tp)
    if reading is None or not isinstance(reading.committed, int):
        return False
    return reading.committed > max(reading.end, sample.details.high_watermarks.get(tp, 0))


def recreated_topics(history: History) -> frozenset[str]:
    """Topics whose end offset fell within the last ten minutes: they were made anew, or records were cut off."""
    at, topics = history.recreated or (-inf, frozenset())
    return topics if history.samples[-1].at - at <= RECREATED_SECONDS else frozenset()


def _seconds_left(history: History, policy: Policy, tp: TopicPartition) -> float | None:
    newest = history.samples[-1]
    now = newest.readings[tp]
    if not isinstance(now.committed, int) or now.committed >= now.end:
        return None
    first = _behind_since(history, tp)
    if first is None or not isinstance(now.committed, int):
        return None
    before, seconds = first.readings[tp], newest.at - first.at
    margin, deleted = now.committed - now.start, (now.start - before.start) / seconds
    if margin < 0:
        return 0.0 if deleted > 0 else None
    passed = position(history, tp, now, policy.offset_reset) - position(history, tp, before, policy.offset_reset)
    gaining = deleted - max(0, passed) / seconds
    return margin / gaining if gaining > 0 else None


def _behind_since(history: History, tp: TopicPartition) -> Sample | None:
    """The first of the samples in a row in which the partition lags: only in these its log start is exact."""
    found = None
    for sample in reversed(history.samples):
        reading = sample.readings.get(tp)
        if reading is None or not isinstance(reading.committed, int) or reading.committed >= reading.end:
            break
        found = sample
    return found if found is not None and history.samples[-1].at - found.at >= RETENTION_WATCHED_SECONDS else None


def stuck_partitions(history: History, policy: Policy, lag: Mapping[TopicPartition, float],
                     held: Mapping[str, float] = NONE_HELD, known: float | None = None) -> frozenset[TopicPartition]:
    """Partitions with lag whose member is alive and whose committed offset has not moved for three commit intervals.

    Where records take long, a partition also waits until those of its consumer's other partitions had their turn.
    Most partitions of a group that was not seen to commit twice are none: it may commit rarely, or stand still as a
    whole.

    Args:
        known: the commit interval that was measured before, seconds; None where none was.
    """
    suspects = _unmoved(history, [tp for tp in _alive(history) if lag.get(tp, 0) > 0])
    if not suspects:
        return frozenset()
    is_whole = len(suspects) > max(2, len(history.samples[-1].readings) / 2)
    if is_whole and known is None and isinstance(commit_interval_seconds(history), Unknown):
        return frozenset()
    patience = _patience_seconds(history, policy, known)
    turns = turn_seconds(history, policy.offset_reset)
    return frozenset(_unmoved(history, suspects, {
        tp: max(patience, turns.get(tp, 0.0)) + held.get(tp.topic, 0.0) for tp in suspects}))


def kept_partitions(history: History, policy: Policy, among: frozenset[TopicPartition],
                    known: float | None = None) -> frozenset[TopicPartition]:
    """Those that had one and the same consumer for as long as it takes to be stuck: in a crash loop none has.

    A topic that stands still as a whole while another one moves may be held back on purpose, which is seen at its first
    commit: its partitions are waited for longer.
    """
    if not among:
        return frozenset()
    patience, newest = _patience_seconds(history, policy, known), history.samples[-1].at
    whole = _standing_topics(history)
    told = _owners_told(history)
    kept = [tp for tp in among if newest - _owned_since(told, tp) >= patience]
    longer = max(patience, STUCK_SECONDS_WHOLE_TOPIC, policy.lag_seconds)
    waited_for = [tp for tp in kept if tp.topic in whole]
    return (frozenset(tp for tp in kept if tp.topic not in whole)
            | frozenset(_unmoved(history, waited_for, dict.fromkeys(waited_for, longer))))


def _standing_topics(history: History) -> frozenset[str]:
    """Topics that have not moved at all, while another one did, as far as the history goes back."""
    first, newest = history.samples[0], history.samples[-1]
    moved = {tp.topic for tp, reading in newest.readings.items()
             if tp in first.readings and first.readings[tp].committed != reading.committed}
    return frozenset(tp.topic for tp in newest.readings) - moved if moved else frozenset()


def _owned_since(told: list[tuple[float, Mapping[TopicPartition, str]]], tp: TopicPartition) -> float:
    """Since when its owner of now, newest first, was told to be the owner; a rebalance tells none."""
    same = takewhile(lambda each: each[1].get(tp) == told[0][1].get(tp), told)
    return min((at for at, owners in same if tp in owners), default=inf)


def _owners_told(history: History) -> list[tuple[float, Mapping[TopicPartition, str]]]:
    """Who owned the partitions and since when, newest first: one entry for samples in a row with the same members."""
    told: list[tuple[float, Mapping[TopicPartition, str]]] = []
    last: Group | None = None
    for sample in reversed(history.samples):
        if isinstance(sample.group, Unknown) or sample.group.is_rebalancing:
            continue
        if sample.group is last:
            told[-1] = (sample.at, told[-1][1])
        else:
            told.append((sample.at, _owners(sample.group)))
        last = sample.group
    return told


def _owners(group: Group) -> Mapping[TopicPartition, str]:
    return {tp: member.id for member in group.members for tp in member.partitions}


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
    return frozenset().union(*(member.partitions for member in group.members))


def _patience_seconds(history: History, policy: Policy, known: float | None) -> float:
    """Commits every 5 s, polls every 15 s: max(60, 3 * 15, 3 * 15) = 60 s. Commits every 60 s: 180 s.

    While no partition was seen to commit twice, records may take as long as the objective allows. While members go on
    in a rebalance, some partitions wait for its end.
    """
    interval = commit_interval_seconds(history)
    if isinstance(interval, Unknown) and known is not None:
        interval = known
    polls = STUCK_COMMIT_INTERVALS * policy.polling_interval_seconds
    group = history.samples[-1].group
    if isinstance(group, Group) and group.state in INCREMENTAL_STATES:
        return max(STUCK_SECONDS_WHOLE_TOPIC, polls, policy.lag_seconds)
    if isinstance(interval, Unknown):
        guessed = likely_commit_interval(history, policy)
        longest = 0.0 if isinstance(guessed, Unknown) else longest_of_guessed(guessed)
        return max(STUCK_SECONDS_UNSEEN, polls, policy.lag_seconds, longest)
    return max(STUCK_SECONDS_AT_LEAST, STUCK_COMMIT_INTERVALS * interval, polls)


def _unmoved(history: History, partitions: Iterable[TopicPartition],
             seconds: Mapping[TopicPartition, float] | None = None) -> list[TopicPartition]:
    """Those whose committed offset stayed, with lag in every sample, for so many seconds, rebalances left out.

    Without `seconds`, for any time at all. Samples are walked back no further than some partition needs.
    """
    newest = later = history.samples[-1]
    moved = committed(history.samples[-2], newest) if len(history.samples) > 1 else ()
    waiting = [tp for tp in partitions if tp not in moved and _waits_at(newest, tp, newest)]
    found: list[TopicPartition] = []
    passed = 0.0
    for sample in reversed(history.samples[:-1]):
        if not waiting:
            break
        waiting = [tp for tp in waiting if _waits_at(sample, tp, newest)]
        if not _is_moving(sample) and not _is_moving(later):
            passed += later.at - sample.at
            found += [tp for tp in waiting if seconds is None or passed >= seconds[tp]]
            waiting = [] if seconds is None else [tp for tp in waiting if passed < seconds[tp]]
        later = sample
    return found


def _is_moving(sample: Sample) -> bool:
    return isinstance(sample.group, Group) and sample.group.is_rebalancing


def _waits_at(sample: Sample, tp: TopicPartition, newest: Sample) -> bool:
    reading = sample.readings.get(tp)
    if reading is None or reading.committed != newest.readings[tp].committed:
        return False
    return not isinstance(reading.committed, int) or reading.end > reading.committed
