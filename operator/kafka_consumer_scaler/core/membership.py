"""Who is in the group, for how long nobody was, who came and went, and which transactions hold its partitions up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.snapshot import REBALANCING_STATES, Group, Sample, TopicPartition

UNREST_SECONDS = 600.0
"""Members that came and went within this time are counted."""
REBALANCING_SECONDS = 300.0
REBALANCING_SAMPLES = 10
REBALANCING_SECONDS_AT_LEAST = 120.0
"""So many looks, over so long, and the share of them that saw a rebalance, tell whether the group ever settles."""
COMMITS_SEEN = 2
UNSEEN_SECONDS = 180.0
UNSEEN_PAUSES = 3
UNREAD_SECONDS = 60.0
"""Nobody reads a partition that had no member for so long: a rebalance is over by then."""
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


def works_unseen(history: History) -> bool:
    """Whether offsets are committed for a group in which no member can be seen.

    Consumers that assign partitions themselves (Flink, Spark) commit, and their group is Empty. Somebody works once two
    commits were seen while no member was; one may be an administrator's reset. It lasts until commits have failed to
    come for three times the longest pause between two of them, or three minutes.
    """
    seen: list[float] = []
    later = history.samples[-1]
    first_at = later.at
    if not _is_memberless(later):
        return False
    for sample in reversed(history.samples[:-1]):
        if not _is_memberless(sample):
            break
        is_quiet = history.committed_at is not None and sample.at >= history.committed_at
        if not is_quiet and any(_committed_more(sample, later, tp) for tp in later.readings):
            seen.append(later.at)
        later = sample
    if len(seen) < COMMITS_SEEN:
        return False
    longest = max(newer - older for newer, older in pairwise(seen))
    return first_at - seen[0] <= max(UNSEEN_SECONDS, UNSEEN_PAUSES * longest)


def _is_memberless(sample: Sample) -> bool:
    return isinstance(sample.group, Group) and not sample.group.members


def _committed_more(before: Sample, now: Sample, tp: TopicPartition) -> bool:
    old, new = before.readings.get(tp), now.readings.get(tp)
    if old is None or new is None or not isinstance(old.committed, int) or not isinstance(new.committed, int):
        return False
    return new.committed > old.committed


def rebalancing_seconds(history: History) -> float:
    """For how long every sample up to the latest saw a rebalance; 0 when the latest saw none."""
    newest = history.samples[-1]
    since = newest.at
    for sample in reversed(history.samples):
        if not isinstance(sample.group, Group) or not sample.group.is_rebalancing:
            break
        since = sample.at
    return newest.at - since


def unread_partitions(history: History) -> Mapping[TopicPartition, float]:
    """Partitions that nobody reads, though others of the group are read, and for how long that was seen, seconds.

    No settled sample of that time has a member that holds it, and nobody committed for it. A group in which nobody
    holds a partition that counts has no unread partition: its consumers are missing.
    """
    newest = history.samples[-1]
    held = next((found for found in map(_held, reversed(history.samples)) if found is not None), frozenset())
    suspects = {tp for tp in newest.readings if tp not in held}
    if not suspects or len(suspects) == len(newest.readings):
        return {}
    since = dict.fromkeys(suspects, newest.at)
    over: set[TopicPartition] = set()
    group, then = newest.group, _held(newest)
    for sample in reversed(history.samples[:-1]):
        if sample.group is not group:
            group, then = sample.group, _held(sample)
        if then is None:
            continue
        for tp in suspects - over:
            if tp in then or _differs(sample, newest, tp):
                over.add(tp)
            else:
                since[tp] = sample.at
        if len(over) == len(suspects):
            break
    return {tp: newest.at - at for tp, at in sorted(since.items())}


def uncounted_partitions(unread: Mapping[TopicPartition, float], history: History,
                         missing_since: float | None) -> frozenset[TopicPartition]:
    """The unread partitions that count for nothing: unread for a minute, or for as long as the group was watched.

    While replicas are missing, partitions may wait for them: only those count for nothing that nobody read before.

    Args:
        unread: how long that was seen for each of them, seconds.
        missing_since: since when replicas are missing, seconds since the epoch; None when none are.
    """
    newest = history.samples[-1].at
    needed = min(UNREAD_SECONDS, newest - history.samples[0].at)
    if missing_since is not None:
        needed = min(UNREAD_SECONDS + max(0.0, newest - missing_since), newest - history.samples[0].at)
    return frozenset(tp for tp, seconds in unread.items() if seconds >= needed)


def _held(sample: Sample) -> frozenset[TopicPartition] | None:
    """The partitions that members hold; None where a rebalance goes on, or the group is not known.

    Members that work on in a rebalance hold only a part: what moves is held by nobody.
    """
    if not isinstance(sample.group, Group) or sample.group.state in REBALANCING_STATES or not sample.group.members:
        return None
    return frozenset().union(*(member.partitions for member in sample.group.members))


def _differs(before: Sample, now: Sample, tp: TopicPartition) -> bool:
    old, new = before.readings.get(tp), now.readings.get(tp)
    return old is None or new is None or old.committed != new.committed


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
