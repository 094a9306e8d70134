"""How often consumers commit, as far as polls show it. Seconds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise, repeat
from statistics import fmean, median

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import (
    WINDOW_SECONDS,
    committed,
    has_committed,
    moves,
    position,
    processed,
)
from kafka_consumer_scaler.core.snapshot import Group, Sample, TopicPartition, Unknown

COMMIT_SECONDS = 5.0
"""Kafka's default auto.commit.interval.ms."""
ASKED_MEMBERS = 5
ASKED_MEMBERS_EVER = 20
ASKED_PARTITIONS = 20
"""Members of a sample, of all samples, and partitions whose commits show the interval: all consumers commit alike."""
EVERY_SHARE = 0.3
GUESSED_INTERVALS = 4
GUESSED_SECONDS = 600.0
SEEN_TIMES = 1.05
"""Commits that are this many looks apart, on average, are not seen at each look."""
NO_MOVES = Unknown("no committed offset was seen to move twice")


def commit_interval_seconds(history: History) -> float | Unknown:
    """Median time between two commits of a consumer, as far as the polls can tell."""
    gaps = _commit_gaps(history)
    return median(seconds for seconds, _ in gaps) if gaps else NO_MOVES


def _commit_gaps(history: History) -> list[tuple[float, int]]:
    """(seconds, polls) from each commit that was seen to the next one of its consumer.

    A consumer that commits after each record, of ten minutes, commits one of its partitions every ten minutes. Where
    members cannot be seen, each partition is taken for a consumer; where rebalances leave nothing to count, commits
    that every poll saw are enough.
    """
    if not history.samples:
        return []
    first, last = history.samples[0], history.samples[-1]
    moved = committed(first, last)
    moving = [tp for tp in last.readings if tp in moved]
    distinct = {id(sample.group): sample.group for sample in reversed(history.samples)}
    groups = {name: _hands(group, moving) for name, group in distinct.items()}
    asked = dict.fromkeys(member for hands in groups.values() for member in [*hands][:ASKED_MEMBERS])
    at_each = [groups[id(sample.group)] for sample in history.samples]
    found = [gap for member in [*asked][:ASKED_MEMBERS_EVER]
             for gap in _gaps(history.samples, [hands.get(member, ()) if hands else None for hands in at_each])]
    if found:
        return found
    each = [_gaps(history.samples, repeat((tp,))) for tp in moving[:ASKED_PARTITIONS]]
    return [gap for gaps in each for gap in (_at_every_poll(history, gaps) if asked else gaps)]


def _at_every_poll(history: History, gaps: Sequence[tuple[float, int]]) -> Sequence[tuple[float, int]]:
    """The gaps from one poll to the next, of a partition that was committed at a good part of all polls.

    A partition that changes hands is committed by its old and by its new consumer, one soon after the other.
    """
    poll = history.samples[-1].at - history.samples[-2].at if gaps else 0.0
    found = [gap for gap in gaps if gap[1] == 1 and gap[0] <= 1.5 * poll]
    return found if len(found) >= EVERY_SHARE * (len(history.samples) - 1) else []


def _hands(group: Group | Unknown, moving: Sequence[TopicPartition]) -> Mapping[str, tuple[TopicPartition, ...]]:
    """Of each member the partitions that moved, some of them; members without one are left out."""
    if isinstance(group, Unknown):
        return {}
    owners = {tp: member.id for member in group.members for tp in member.partitions}
    found: dict[str, list[TopicPartition]] = {}
    for tp in moving:
        if tp in owners and len(hand := found.setdefault(owners[tp], [])) < ASKED_PARTITIONS:
            hand.append(tp)
    return {member: tuple(hand) for member, hand in found.items()}


def likely_commit_interval(history: History, policy: Policy, known: float | None = None) -> float | Unknown:
    """The commit interval: as measured, else as it was `known` before, else by the size of a single commit.

    600 records in one commit where 10 records/s arrive are 60 s of them.
    """
    measured = measured_commit_interval(history, policy)
    if not isinstance(measured, Unknown):
        return measured
    return _interval_by_size(history, policy) if known is None else known


def measured_commit_interval(history: History, policy: Policy) -> float | Unknown:
    """The commit interval, seconds, by commits that were seen to follow each other.

    Where every poll saw a new commit, it is shorter than a poll: Kafka's default, 5 s. The mean shows what the median
    cannot: polls 15 s apart see commits 20 s apart after 1, 1 and 2 of them. Polls are counted, since they need not be
    even: the second one comes soon after the first.
    """
    gaps = _commit_gaps(history)
    if not gaps:
        return NO_MOVES
    mean, polls = fmean(seconds for seconds, _ in gaps), fmean(polls for _, polls in gaps)
    seen = median(seconds for seconds, _ in gaps)
    if seen > 1.5 * max(mean / polls, policy.polling_interval_seconds):
        return seen
    return mean if polls > SEEN_TIMES else min(seen, COMMIT_SECONDS)


def _interval_by_size(history: History, policy: Policy) -> float | Unknown:
    """The commit interval where one commit was seen: the time in which so many records arrive that it committed.

    At least the time since then, up to the objective, where records of its partitions still wait. What is shorter than
    a poll cannot be told from Kafka's default.
    """
    pairs = pairwise(reversed(history.samples))
    found = next(((before, now) for now, before in pairs if _is_commit_seen(history, before, now)), None)
    if found is None:
        return NO_MOVES
    before, now = found
    newest = history.samples[-1]
    moved = frozenset(tp for tp in now.readings if has_committed(before, now, tp))
    waits = any(tp in newest.readings and position(history, tp, newest.readings[tp], policy.offset_reset)
                < newest.readings[tp].end for tp in moved)
    least = min(newest.at - now.at, policy.lag_seconds) if waits else 0.0
    rate = _recent_rate(history, moved)
    if len(history.samples) == 2 or not rate:
        return max(COMMIT_SECONDS, least)
    seconds = max(least, processed(history, policy.offset_reset, before, now, moved) / rate)
    return seconds if seconds > policy.polling_interval_seconds else COMMIT_SECONDS


def longest_of_guessed(interval: float) -> float:
    """How long a commit interval may be that only the size of one commit shows, seconds.

    The first commit of a consumer holds what it processed since it started, and the next one may hold far more.
    """
    return max(GUESSED_SECONDS, GUESSED_INTERVALS * interval)


def _is_commit_seen(history: History, before: Sample, now: Sample) -> bool:
    """Whether a committed offset differs between two samples; since `committed_at` none does."""
    if history.committed_at is not None and before.at >= history.committed_at:
        return False
    return any(has_committed(before, now, tp) for tp in now.readings)


def _recent_rate(history: History, partitions: frozenset[TopicPartition]) -> float:
    """Records/s that arrive in some partitions: over a window, or the whole history where none came in the window."""
    newest = history.samples[-1]
    for first in (history.window(WINDOW_SECONDS)[0], history.samples[0]):
        arrivals = moves(first, newest)
        arrived = sum(arrivals.get(tp, 0) for tp in partitions)
        if arrived:
            return arrived / (newest.at - first.at)
    return 0.0


def _gaps(samples: tuple[Sample, ...],
          partitions: Iterable[Collection[TopicPartition] | None]) -> list[tuple[float, int]]:
    """(seconds, polls) between the commits of one consumer, which had these partitions at each sample.

    None is a group without members. Where the partitions changed hands, a rebalance made them commit: counting starts
    again.
    """
    found: list[tuple[float, int]] = []
    last: int | None = None
    polls = enumerate(pairwise(zip(samples, partitions, strict=False)), start=1)
    for poll, ((before, old), (now, held)) in polls:
        moved = any(has_committed(before, now, tp) for tp in held or ())
        is_kept = old in (held, None)
        if moved and is_kept and last is not None:
            found.append((now.at - samples[last].at, poll - last))
        if moved and is_kept:
            last = poll
        elif not is_kept:
            last = None
    return found
