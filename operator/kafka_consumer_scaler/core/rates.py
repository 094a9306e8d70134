"""Lag, age, arrival and drain, or Unknown with the reason. Records, seconds, records/s.

Arrival is read from end offsets, drain from committed offsets. Consumers commit every few seconds, so a drain over less
than a window is a sawtooth: with commits every 5 s a 60 s window is off by at most 5/60 = 8%. The window is therefore
at least 60 s and at least three commit intervals.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise, repeat
from math import floor, inf
from statistics import fmean, median

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.snapshot import Group, Reading, Sample, TopicPartition, Unknown

WINDOW_SECONDS = 60.0
WINDOW_COMMIT_INTERVALS = 3
NEWEST_SECONDS = 10.0
"""The last interval: one poll, or as many as make 10 s, since producers send, and transactions end, in batches."""
COMMIT_SECONDS = 5.0
"""Kafka's default auto.commit.interval.ms."""
ASKED_MEMBERS = 5
ASKED_MEMBERS_EVER = 20
ASKED_PARTITIONS = 20
"""Members of a sample, of all samples, and partitions whose commits show the interval: all consumers commit alike."""
SEEN_TIMES = 1.05
"""Commits that are this many looks apart, on average, are not seen at each look."""
OVERDUE_COMMIT_INTERVALS = 2
NO_MOVES = Unknown("no committed offset was seen to move twice")
RISE_STEPS = 3
RISE_STEP_SECONDS = 15.0
RISE_STEP_SECONDS_MAX = 120.0
RISE_LEAD_PARTS = 5
REST_COMMIT_INTERVALS = 3
"""A partition is at rest once neither end moved for so many commit intervals, or the objective while none is known."""
TRAILING_RECORDS = 10
"""So few records at the end of a partition that stands still at both ends are the markers of transactions."""
TURNS = 3
MARKS_SHARE = 0.1
IDLE_LAG = 1
"""A transaction's commit marker has an offset that no consumer commits: it stays as a lag of one record."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Records/s produced: over the window, over the last interval, and the rise in records/s each second.

    `lasting` is the average without the poll that saw most arrive: a batch is not in it.
    """

    average: float
    newest: float
    rise: float = 0.0
    lasting: float = 0.0

    def ahead(self, seconds: float) -> float:
        """The rate to be ready for: the larger of window and last interval, plus the trend. It is only ever raised.

        100 on average, 130 of late, rising by 0.5 a second, 40 s ahead: 130 + 20 = 150 records/s.
        """
        return max(self.average, self.newest) + self.rise * seconds


def lags(history: History, policy: Policy) -> Mapping[TopicPartition, int] | Unknown:
    """Records not yet processed, by partition: `max(0, end - position)`; Unknown when one partition is."""
    if isinstance(history.latest, Unknown):
        return history.latest
    found: dict[TopicPartition, int] = {}
    for tp, reading in history.latest.readings.items():
        position = history.position(tp, reading, policy.offset_reset)
        if isinstance(position, Unknown):
            return position
        found[tp] = max(0, reading.end - position)
    return found


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
    return {tp: _partition_age(history, tp, behind) if behind > 0 else 0.0 for tp, behind in lag.items()}


def age_marks(history: History, lag: Mapping[TopicPartition, float],
              waited: Mapping[TopicPartition, float | Unknown],
              spacing: float) -> Mapping[TopicPartition, tuple[tuple[float, float], ...]]:
    """How old records within each backlog are, oldest first: (records ahead, age in seconds) at the ends seen.

    100 records at t=0, 200 from t=10 to t=30, 300 at t=40, of which 250 wait: those with 50 and 150 records ahead are
    40 and 30 s old, and the newest came at t=40. Marks are at least `spacing` seconds, and a tenth of the age of the
    oldest record, apart: there are ten at most.
    """
    newest = history.samples[-1]
    polls = [(newest.at - sample.at, sample.readings) for sample in reversed(history.samples)]
    found = {}
    for tp, age in waited.items():
        if lag[tp] > 0 and not isinstance(age, Unknown):
            found[tp] = _partition_marks(polls, tp, lag[tp], max(spacing, MARKS_SHARE * age))
    return found


def _partition_marks(polls: Sequence[tuple[float, Mapping[TopicPartition, Reading]]], tp: TopicPartition, lag: float,
                     spacing: float) -> tuple[tuple[float, float], ...]:
    """The marks of a partition; `polls` are (age in seconds, readings) of all samples, the newest first."""
    end = polls[0][1][tp].end
    found: list[tuple[float, float]] = []
    last = last_age = -inf
    for age, readings in polls:
        reading = readings.get(tp)
        if reading is None or end - reading.end >= lag:
            break
        ahead = lag - (end - reading.end)
        if ahead == last:
            found[-1] = (ahead, age)
        elif age - last_age < spacing:
            continue
        else:
            found.append((ahead, age))
        last, last_age = ahead, age
    found.reverse()
    return tuple(found)


def unprocessed(history: History, policy: Policy, lag: Mapping[TopicPartition, int],
                interval: float | Unknown) -> Mapping[TopicPartition, float]:
    """The lag without what was probably processed since the last commit, and without a transaction's trailing marker.

    A consumer that commits every 60 s and is polled every 5 s shows a sawtooth. Between commits its position goes on as
    it did on average: committed 40 s ago, 10 records/s, lag 430 -> 30. Overdue by two intervals, nothing is assumed.
    """
    needed = policy.lag_seconds if isinstance(interval, Unknown) else REST_COMMIT_INTERVALS * interval
    rest = max(WINDOW_SECONDS, needed)
    old = _sample_before(history, rest)
    idle = {tp for tp, behind in lag.items() if 0 < behind <= TRAILING_RECORDS and _is_at_rest(history, tp, old)}
    if idle:
        turns = turn_seconds(history, policy.offset_reset)
        idle = {tp for tp in idle if turns.get(tp, 0.0) <= rest
                or _is_at_rest(history, tp, _sample_before(history, turns[tp]))}
    credit: Mapping[TopicPartition, float] = {}
    if not isinstance(interval, Unknown):
        behind = [tp for tp, records in lag.items() if records > 0 and tp not in idle]
        credit = _processed_since_commit(history, policy.offset_reset, interval, behind)
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
    moving = [tp for tp in last.readings if _has_committed(first, last, tp)]
    distinct = {id(sample.group): sample.group for sample in reversed(history.samples)}
    groups = {name: _hands(group, moving) for name, group in distinct.items()}
    asked = dict.fromkeys(member for hands in groups.values() for member in [*hands][:ASKED_MEMBERS])
    at_each = [groups[id(sample.group)] for sample in history.samples]
    found = [gap for member in [*asked][:ASKED_MEMBERS_EVER]
             for gap in _gaps(history.samples, [hands.get(member, ()) if hands else None for hands in at_each])]
    if found:
        return found
    each = [gap for tp in moving[:ASKED_PARTITIONS] for gap in _gaps(history.samples, repeat((tp,)))]
    poll = last.at - history.samples[-2].at if moving else 0.0
    return [gap for gap in each if not asked or (gap[1] == 1 and gap[0] <= 1.5 * poll)]


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


def likely_commit_interval(history: History, policy: Policy) -> float | Unknown:
    """The commit interval; where every look saw a new commit, it is shorter than a look: Kafka's default, 5 s.

    The mean tells what the median cannot: looks 15 s apart see commits 20 s apart after 1, 1 and 2 of them. Looks are
    counted, since they need not be even: the second one comes soon after the first. A single commit among several looks
    tells by its size: 600 records where 10 a second arrive are 60 s of them.
    """
    gaps = _commit_gaps(history)
    if not gaps:
        return _interval_by_size(history, policy)
    mean, looks = fmean(seconds for seconds, _ in gaps), fmean(looks for _, looks in gaps)
    seen = median(seconds for seconds, _ in gaps)
    if seen > 1.5 * max(mean / looks, policy.polling_interval_seconds):
        return seen
    return mean if looks > SEEN_TIMES else min(seen, COMMIT_SECONDS)


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
    moved = frozenset(tp for tp in now.readings if _has_committed(before, now, tp))
    waits = any(tp in newest.readings and position(history, tp, newest.readings[tp], policy.offset_reset)
                < newest.readings[tp].end for tp in moved)
    least = min(newest.at - now.at, policy.lag_seconds) if waits else 0.0
    rate = _recent_rate(history, moved)
    if len(history.samples) == 2 or not rate:
        return max(COMMIT_SECONDS, least)
    seconds = max(least, processed(history, policy.offset_reset, before, now, moved) / rate)
    return seconds if seconds > policy.polling_interval_seconds else COMMIT_SECONDS


def _is_commit_seen(history: History, before: Sample, now: Sample) -> bool:
    """Whether a committed offset differs between two samples; since `committed_at` none does."""
    if history.committed_at is not None and before.at >= history.committed_at:
        return False
    return any(_has_committed(before, now, tp) for tp in now.readings)


def _recent_rate(history: History, partitions: frozenset[TopicPartition]) -> float:
    """Records/s that arrive in some partitions: over a window, or the whole history where none came in the window."""
    newest = history.samples[-1]
    for first in (_window(history, since=0.0, seconds=WINDOW_SECONDS)[0], history.samples[0]):
        moves = _moves(first, newest)
        arrived = sum(moves.get(tp, 0) for tp in partitions)
        if arrived:
            return arrived / (newest.at - first.at)
    return 0.0


def arrival(history: History, lead: float = 0.0, seconds: float = WINDOW_SECONDS) -> Arrival | Unknown:
    """Records/s that are produced over a window of so many seconds, WINDOW_SECONDS at least.

    The rise is measured over a span that suits a forecast `lead` seconds ahead.
    """
    window = _window(history, since=0.0, seconds=max(WINDOW_SECONDS, seconds))
    if len(window) < 2:
        return Unknown("only one sample")
    newest = _window(history, since=0.0, seconds=NEWEST_SECONDS)
    return Arrival(_arrived(window[0], window[-1]), _arrived(newest[0], newest[-1]), _rise(history, lead),
                   _lasting(window))


def arrival_shares(history: History, seconds: float = WINDOW_SECONDS) -> Mapping[TopicPartition, float]:
    """Each partition's share of the arrival of so many seconds, as far as more than chance makes it uneven.

    Records that arrive independently vary by the root of their number: of 100 expected, 130 are 3 deviations off. Those
    that come in batches of n vary by the root of n times as much: of 2,000 in batches of 1,000, 6,200 are no more than
    3 off. With no partition beyond a quarter and beyond 3 deviations and one record, all shares are even: a
    single record comes in one partition.
    """
    return _shares(history, seconds, partial(_batch, history))


def both_shares(history: History) -> tuple[Mapping[TopicPartition, float], Mapping[TopicPartition, float]]:
    """The shares of the window, and those of the last interval."""
    batch = cache(partial(_batch, history))
    return _shares(history, WINDOW_SECONDS, batch), _shares(history, NEWEST_SECONDS, batch)


def _shares(history: History, seconds: float, batch: Callable[[], float]) -> Mapping[TopicPartition, float]:
    window = _window(history, since=0.0, seconds=seconds)
    if not window:
        return {}
    counts = _moves(window[0], window[-1])
    total = sum(counts.values())
    mean = total / len(counts) if counts else 0.0
    farthest = max((abs(count - mean) for count in counts.values()), default=0.0)
    if total == 0 or farthest <= mean / 4 or farthest <= 3 * (mean * batch()) ** 0.5 + 1:
        return dict.fromkeys(counts, 1 / len(counts)) if counts else {}
    return {tp: count / total for tp, count in counts.items()}


def _batch(history: History) -> float:
    """Records that come together, by how unlike the looks of the window are: chi squared for each degree of freedom.

    Two partitions that get 1,000 and 0, 0 and 1,000, and so on, at four looks: 500 expected in each of 8 cells, so
    8 * 500^2 / 500 = 4,000, over 3 * 1 degrees: about 1,300. At least 1, as records that come singly have.
    """
    window = _window(history, since=0.0, seconds=WINDOW_SECONDS)
    every = [_moves(before, now) for before, now in pairwise(window)]
    looks = [(sum(moves.values()), [moves.get(tp, 0) for tp in window[-1].readings]) for moves in every]
    looks = [(number, moves) for number, moves in looks if number]
    sums: list[int] = [sum(numbers) for numbers in zip(*(moves for _, moves in looks), strict=True)]
    total, busy = sum(sums), sum(number > 0 for number in sums)
    degrees = (len(looks) - 1) * (busy - 1)
    if degrees <= 0:
        return 1.0
    cells = ((number, seen, each) for number, moves in looks for seen, each in zip(moves, sums, strict=True) if each)
    expected = ((seen, number * each / total) for number, seen, each in cells)
    return max(1.0, sum((seen - mean) ** 2 / mean for seen, mean in expected) / degrees)


def _moves(first: Sample, last: Sample) -> dict[TopicPartition, int]:
    """Records by which the log end of each partition moved on."""
    earlier = first.readings
    return {tp: max(0, reading.end - earlier[tp].end) if tp in earlier else 0 for tp, reading in last.readings.items()}


def _grown(first: Sample, last: Sample) -> int:
    """Records by which the log ends of all partitions moved on."""
    earlier = first.readings
    return sum(reading.end - earlier[tp].end for tp, reading in last.readings.items()
               if tp in earlier and reading.end > earlier[tp].end)


def drain(history: History, policy: Policy, interval: float | Unknown) -> float | Unknown:
    """Records/s that the group processes, over a window without a rewind or a rebalance."""
    needed = WINDOW_SECONDS
    if not isinstance(interval, Unknown):
        needed = max(needed, WINDOW_COMMIT_INTERVALS * interval)
    window = _window(history, since=history.drain_since, seconds=needed)
    watched = window[-1].at - window[0].at if window else 0.0
    if watched < WINDOW_SECONDS:
        return Unknown(f"committed offsets moved undisturbed for {watched:.0f} s of {WINDOW_SECONDS:.0f} s")
    return processed(history, policy.offset_reset, window[0], window[-1], window[-1].readings) / watched


def processed(history: History, reset: OffsetReset, first: Sample, last: Sample,
              only: Iterable[TopicPartition]) -> int:
    """Records by which the positions of `only` moved on between two samples."""
    moved, readings, earlier = 0, last.readings, first.readings
    for tp in only:
        now, before = readings.get(tp), earlier.get(tp)
        if now is not None and before is not None and now is not before:
            moved += max(0, position(history, tp, now, reset) - position(history, tp, before, reset))
    return moved


def position(history: History, tp: TopicPartition, reading: Reading, reset: OffsetReset) -> int:
    """The first offset not processed; the end where that cannot be known, which counts as no progress and no lag."""
    committed = reading.committed
    if isinstance(committed, int):
        return committed if committed > reading.start else reading.start
    found = history.position(tp, reading, reset)
    return reading.end if isinstance(found, Unknown) else found


def _partition_age(history: History, tp: TopicPartition, lag: float) -> float | Unknown:
    samples, newest = history.samples, history.samples[-1]
    end = newest.readings[tp].end
    where = end - lag
    place = _first_beyond(samples, tp, min(where, end - 1))  # to a float, 2**62 - 0.5 is 2**62
    later, before = samples[place], samples[place - 1].readings.get(tp) if place else None
    if before is None:
        return _estimated_age(newest, later, tp, lag)
    share = min(1.0, (where - before.end) / (later.readings[tp].end - before.end))
    return newest.at - (samples[place - 1].at + share * (later.at - samples[place - 1].at))


def _first_beyond(samples: Sequence[Sample], tp: TopicPartition, offset: float) -> int:
    """The place of the first sample in which the log of a partition ends beyond an offset; the newest does.

    Ends never fall within a history, so it is found in six steps of fifty samples. The newest poll is asked first, as
    most partitions are nearly caught up.
    """
    def end(sample: Sample) -> float:
        reading = sample.readings.get(tp)
        return -inf if reading is None else reading.end

    last = len(samples) - 1
    if last and end(samples[last - 1]) <= offset:
        return last
    return bisect_right(samples, offset, hi=last, key=end)


def _estimated_age(newest: Sample, first: Sample, tp: TopicPartition, lag: float) -> float | Unknown:
    watched = newest.at - first.at
    if watched == 0:
        return Unknown("only one sample")
    arrived = newest.readings[tp].end - first.readings[tp].end
    return max(watched, lag * watched / arrived) if arrived > 0 else watched


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
        moved = any(_has_committed(before, now, tp) for tp in held or ())
        is_kept = old in (held, None)
        if moved and is_kept and last is not None:
            found.append((now.at - samples[last].at, poll - last))
        if moved and is_kept:
            last = poll
        elif not is_kept:
            last = None
    return found


def _sample_before(history: History, seconds: float) -> Sample | None:
    """The newest sample that is at least so many seconds old; None where the history does not reach back so far."""
    newest = history.samples[-1]
    return next((sample for sample in reversed(history.samples) if newest.at - sample.at >= seconds), None)


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
    window = _window(history, since=history.drain_since, seconds=max(WINDOW_SECONDS, 3 * interval))
    recent = [poll for poll in reversed(range(1, len(window))) if newest.at - window[poll].at <= patience]
    found: dict[TopicPartition, float] = {}
    for tp in partitions:
        last = _first_commit(window, tp, recent)
        waited = newest.at - window[0 if last is None else last].at
        if 0 < waited <= patience:
            found[tp] = float(floor(_rate(history, reset, window, tp, last, interval) * waited))
    return found


def _rate(history: History, reset: OffsetReset, window: tuple[Sample, ...], tp: TopicPartition, last: int | None,
          interval: float) -> float:
    """Records/s processed up to the commit that the poll `last` saw; where none was seen, records/s that arrive."""
    first = None if last is None else _first_commit(window, tp, range(1, last + 1))
    if first is None or last is None:
        newest = window[-1]
        return (newest.readings[tp].end - _end(window[0], tp, newest.readings[tp])) / (newest.at - window[0].at)
    if first == last:
        return processed(history, reset, window[first - 1], window[last], (tp,)) / interval
    return processed(history, reset, window[first], window[last], (tp,)) / (window[last].at - window[first].at)


def _first_commit(window: tuple[Sample, ...], tp: TopicPartition, polls: Iterable[int]) -> int | None:
    """The first of these polls that saw a new commit of the partition."""
    return next((poll for poll in polls if _has_committed(window[poll - 1], window[poll], tp)), None)


def _has_committed(before: Sample, now: Sample, tp: TopicPartition) -> bool:
    old, new = before.readings.get(tp), now.readings.get(tp)
    if old is None or new is None:
        return old is not new
    return old is not new and old.committed != new.committed


def _window(history: History, since: float, seconds: float) -> tuple[Sample, ...]:
    """The samples since the newest one that is at least a window old; all of them when none is."""
    samples = history.since(since)
    for index in range(len(samples) - 1, -1, -1):
        if samples[-1].at - samples[index].at >= seconds:
            return samples[index:]
    return samples


def _arrived(first: Sample, last: Sample) -> float:
    earlier = first.readings
    arrived = sum(reading.end - earlier[tp].end for tp, reading in last.readings.items() if tp in earlier)
    return arrived / (last.at - first.at)


def _lasting(window: tuple[Sample, ...]) -> float:
    """Records/s over the window without the interval in which most arrived."""
    intervals = [(now.at - before.at, _grown(before, now)) for before, now in pairwise(window)]
    seconds, most = max(intervals, key=lambda each: each[1])
    rest = window[-1].at - window[0].at - seconds
    return (sum(number for _, number in intervals) - most) / rest if rest else 0.0


def _end(sample: Sample, tp: TopicPartition, otherwise: Reading) -> int:
    reading = sample.readings.get(tp)
    return otherwise.end if reading is None else reading.end


def _rise(history: History, lead: float) -> float:
    """Records/s by which the arrival rises each second: the least of its last three rises, each over 15 s or a poll.

    For a forecast of more than 75 s, each is over a fifth of that, as far as the history goes back.

    A ramp 100, 115, 130, 145 rises by 1 a second; a step 100, 100, 300, 300 by 0, as does noise.
    """
    step = min(RISE_STEP_SECONDS_MAX, max(RISE_STEP_SECONDS, lead / RISE_LEAD_PARTS))
    marks = [history.samples[-1]]
    for sample in reversed(history.samples):
        if marks[-1].at - sample.at >= step:
            marks.append(sample)
        if len(marks) == RISE_STEPS + 2:
            break
    if len(marks) < RISE_STEPS + 2:
        return 0.0
    rates = [_arrived(earlier, later) for later, earlier in pairwise(marks)]
    seconds = (marks[0].at - marks[-1].at) / (len(marks) - 1)
    return max(0.0, min(now - before for now, before in pairwise(rates)) / seconds)
