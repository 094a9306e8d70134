"""The backlog: records that are not processed yet, and how old they are. Records, seconds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import floor, inf

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.rates import (
    WINDOW_SECONDS,
    committed,
    end_of,
    lags,
    position,
    processed,
)
from kafka_consumer_scaler.core.snapshot import Sample, TopicPartition, Unknown

OVERDUE_COMMIT_INTERVALS = 2
REST_COMMIT_INTERVALS = 3
"""A partition is at rest once neither end moved for so many commit intervals, or the objective while none is known."""
TRAILING_RECORDS = 10
"""So few records at the end of a partition that stands still at both ends are the markers of transactions."""
TURNS = 3
MARKS_SHARE = 0.1


def age_seconds(history: History, policy: Policy) -> float | Unknown:
    """Age of the oldest unprocessed record, the worst over all partitions; 0 without lag."""
    lag = lags(history, policy)
    return lag if isinstance(lag, Unknown) else oldest(ages(history, lag))


def oldest(found: Mapping[TopicPartition, float | Unknown]) -> float | Unknown:
    """The greatest of the ages; Unknown when one is."""
    known = [age for age in found.values() if not isinstance(age, Unknown)]
    if len(known) < len(found):
        return next(age for age in found.values() if isinstance(age, Unknown))
    return max(known, default=0.0)


def ages(history: History, lag: Mapping[TopicPartition, float]) -> Mapping[TopicPartition, float | Unknown]:
    """Age of the oldest unprocessed record of each partition, 0 without lag.

    Interpolated from the history of end offsets: with 100 records at t=0 and 200 at t=10, the record at position 150
    arrived at t=5. Older than the history: `lag / arrival`, and never less than the history's length.
    """
    samples, newest = history.samples, history.samples[-1]
    ends = [sample.ends_of(newest) for sample in samples]
    found: dict[TopicPartition, float | Unknown] = {}
    poll = len(samples) - 1
    for place, tp in enumerate(newest.partitions):
        behind = lag.get(tp, 0.0)
        if behind > 0:
            end = newest.ends[place]
            beyond = min(end - behind, end - 1)  # to a float, 2**62 - 0.5 is 2**62
            if not (ends[poll - 1][place] <= beyond < ends[poll][place]):
                poll = _first_beyond(ends, place, beyond)
            found[tp] = _age_at(samples, ends, poll, place, behind)
        elif tp in lag:
            found[tp] = 0.0
    return found


def age_marks(history: History, lag: Mapping[TopicPartition, float],
              waited: Mapping[TopicPartition, float | Unknown],
              spacing: float) -> Mapping[TopicPartition, tuple[tuple[float, float], ...]]:
    """How old records within each backlog are, oldest first: (records ahead, age in seconds) at the ends seen.

    100 records at t=0, 200 from t=10 to t=30, 300 at t=40, of which 250 wait: those with 50 and 150 records ahead are
    40 and 30 s old, and the newest came at t=40. Marks are at least `spacing` seconds, and a tenth of the age of the
    oldest record, apart: there are ten at most.
    """
    newest = history.samples[-1]
    polls = [(newest.at - sample.at, sample.ends_of(newest)) for sample in reversed(history.samples)]
    found = {}
    for place, tp in enumerate(newest.partitions):
        age = waited.get(tp)
        if age is not None and not isinstance(age, Unknown) and lag[tp] > 0:
            found[tp] = _partition_marks(polls, place, lag[tp], max(spacing, MARKS_SHARE * age))
    return found


def _partition_marks(polls: Sequence[tuple[float, Sequence[float]]], place: int, lag: float,
                     spacing: float) -> tuple[tuple[float, float], ...]:
    """The marks of the partition at a place; `polls` are (age in seconds, ends) of all samples, the newest first."""
    end = polls[0][1][place]
    found: list[tuple[float, float]] = []
    last, again = -inf, 0.0
    for age, ends in polls:
        then = ends[place]
        if then == last:
            found.pop()
        elif age < again:
            continue
        ahead = lag - (end - then)
        if ahead <= 0:
            break
        found.append((ahead, age))
        last, again = then, age + spacing
    return tuple(found[::-1])


def unprocessed(history: History, policy: Policy, lag: Mapping[TopicPartition, int],
                interval: float | Unknown) -> Mapping[TopicPartition, float]:
    """The lag without what was probably processed since the last commit, and without a transaction's trailing marker.

    A consumer that commits every 60 s and is polled every 5 s shows a sawtooth. Between commits its position goes on as
    it did on average: committed 40 s ago, 10 records/s, lag 430 -> 30. Overdue by two intervals, nothing is assumed.
    """
    needed = policy.lag_seconds if isinstance(interval, Unknown) else REST_COMMIT_INTERVALS * interval
    rest = max(WINDOW_SECONDS, needed)
    old = history.sample_before(rest)
    idle = {tp for tp, behind in lag.items() if 0 < behind <= TRAILING_RECORDS and _is_at_rest(history, tp, old)}
    if idle:
        turns = turn_seconds(history, policy.offset_reset)
        idle = {tp for tp in idle if turns.get(tp, 0.0) <= rest
                or _is_at_rest(history, tp, history.sample_before(turns[tp]))}
    credit: Mapping[TopicPartition, float] = {}
    if not isinstance(interval, Unknown):
        behind = [tp for tp, records in lag.items() if records > 0 and tp not in idle]
        credit = _processed_since_commit(history, policy.offset_reset, interval, behind)
    if not idle and not credit:
        return dict(zip(lag, map(float, lag.values()), strict=True))
    return {tp: 0.0 if tp in idle else max(0.0, behind - credit.get(tp, 0.0)) for tp, behind in lag.items()}


def turn_seconds(history: History, reset: OffsetReset) -> Mapping[TopicPartition, float]:
    """How long a partition may wait for its turn, seconds, where its consumer has others with a backlog too.

    Three times what it takes to process one record of each: 12 partitions, one record in ten minutes: six hours.
    """
    first, last = history.samples[0], history.samples[-1]
    if isinstance(last.group, Unknown) or last.at == first.at:
        return {}
    found: dict[TopicPartition, float] = {}
    for member in last.group.members:
        hand = [tp for tp in member.partitions if tp in last.readings]
        behind = [tp for tp in hand if position(history, tp, last.readings[tp], reset) < last.readings[tp].end]
        done = processed(history, reset, first, last, frozenset(hand))
        if len(behind) > 1 and done:
            found |= dict.fromkeys(behind, TURNS * len(behind) * (last.at - first.at) / done)
    return found


def _age_at(samples: Sequence[Sample], ends: Sequence[Sequence[float]], poll: int, place: int,
            lag: float) -> float | Unknown:
    """Age of the record with `lag` records after it, itself among them, that arrived before a poll and after another.

    The partition is at a place of the columns of ends.
    """
    end = ends[-1][place]
    where = end - lag
    before = ends[poll - 1][place] if poll else -inf
    if before == -inf:
        return _estimated_age(samples[-1].at - samples[poll].at, end - ends[poll][place], lag)
    share = min(1.0, (where - before) / (ends[poll][place] - before))
    return samples[-1].at - (samples[poll - 1].at + share * (samples[poll].at - samples[poll - 1].at))


def _first_beyond(ends: Sequence[Sequence[float]], place: int, offset: float) -> int:
    """The first poll in which the log of a partition ends beyond an offset; the newest does.

    Ends never fall within a history, so it is found in six steps of fifty polls. The newest but one is asked first, as
    most partitions are nearly caught up.
    """
    first, last = 0, len(ends) - 1
    if last and ends[last - 1][place] <= offset:
        return last
    while first < last:
        middle = (first + last) // 2
        if offset < ends[middle][place]:
            last = middle
        else:
            first = middle + 1
    return first


def _estimated_age(watched: float, arrived: float, lag: float) -> float | Unknown:
    """Age of a record that arrived before the first of the polls: so many seconds ago, and records since then."""
    if watched == 0:
        return Unknown("only one sample")
    return max(watched, lag * watched / arrived) if arrived > 0 else watched


def _is_at_rest(history: History, tp: TopicPartition, old: Sample | None) -> bool:
    """Neither end was moved since an old sample; without one, that is not known."""
    before = old.readings.get(tp) if old else None
    now = history.samples[-1].readings[tp]
    return before is not None and (before.end, before.committed) == (now.end, now.committed)


def _processed_since_commit(history: History, reset: OffsetReset, interval: float,
                            partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, float]:
    """Records that were probably processed since each partition's last commit was seen.

    Whole records, counted from commit to commit: 600 between the first and the last of a window, 60 s apart, are 10/s.
    A single commit is taken to hold what was processed in one interval. After a rebalance, at which consumers commit,
    they are taken to keep up until the next commit is due.
    """
    newest, patience = history.samples[-1], OVERDUE_COMMIT_INTERVALS * interval
    window = history.window(max(WINDOW_SECONDS, 3 * interval), history.drain_since)
    recent = [poll for poll in reversed(range(1, len(window))) if newest.at - window[poll].at <= patience]
    lasts = _first_commits(window, partitions, recent)
    known = [tp for tp in partitions if 0 < newest.at - window[lasts.get(tp, 0)].at <= patience]
    firsts = _first_commits(window, [tp for tp in known if tp in lasts], range(1, len(window)))
    found: dict[TopicPartition, float] = {}
    for tp in known:
        rate = _rate(history, reset, window, tp, firsts.get(tp), lasts.get(tp), interval)
        found[tp] = float(floor(rate * (newest.at - window[lasts.get(tp, 0)].at)))
    return found


def _rate(history: History, reset: OffsetReset, window: tuple[Sample, ...], tp: TopicPartition, first: int | None,
          last: int | None, interval: float) -> float:
    """Records/s processed between two polls that saw commits; where none was seen, records/s that arrive."""
    if first is None or last is None:
        newest = window[-1]
        return (newest.readings[tp].end - end_of(window[0], tp, newest.readings[tp])) / (newest.at - window[0].at)
    if first == last:
        return processed(history, reset, window[first - 1], window[last], (tp,)) / interval
    return processed(history, reset, window[first], window[last], (tp,)) / (window[last].at - window[first].at)


def _first_commits(window: tuple[Sample, ...], partitions: Collection[TopicPartition],
                   polls: Iterable[int]) -> Mapping[TopicPartition, int]:
    """For each partition the first of these polls that saw a new commit of it; those without one are left out."""
    found: dict[TopicPartition, int] = {}
    left = list(partitions)
    for poll in polls:
        if not left:
            break
        moved = committed(window[poll - 1], window[poll])
        found |= dict.fromkeys([tp for tp in left if tp in moved], poll)
        left = [tp for tp in left if tp not in moved]
    return found
