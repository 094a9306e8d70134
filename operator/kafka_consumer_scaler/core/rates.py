"""Lag, age, arrival and drain, or Unknown with the reason. Records, seconds, records/s.

Arrival is read from end offsets, drain from committed offsets. Consumers commit every few seconds, so a drain over less
than a window is a sawtooth: with commits every 5 s a 60 s window is off by at most 5/60 = 8%. The window is therefore
at least 60 s and at least three commit intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from operator import sub

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.core.snapshot import Reading, Sample, TopicPartition, Unknown

WINDOW_SECONDS = 60.0
WINDOW_COMMIT_INTERVALS = 3
NEWEST_SECONDS = 10.0
"""The last interval: one poll, or as many as make 10 s, since producers send, and transactions end, in batches."""
RISE_STEPS = 3
RISE_STEP_SECONDS = 15.0
RISE_STEP_SECONDS_MAX = 120.0
RISE_LEAD_PARTS = 5
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
    if history.latest.positions is not None:
        return dict(zip(history.latest.partitions, at_least_0(history.latest.ends, history.latest.positions),
                        strict=True))
    found: dict[TopicPartition, int] = {}
    for tp, reading in history.latest.readings.items():
        position = history.position(tp, reading, policy.offset_reset)
        if isinstance(position, Unknown):
            return position
        found[tp] = max(0, reading.end - position)
    return found


def arrival(history: History, lead: float = 0.0, seconds: float = WINDOW_SECONDS) -> Arrival | Unknown:
    """Records/s that are produced over a window of so many seconds, WINDOW_SECONDS at least.

    The rise is measured over a span that suits a forecast `lead` seconds ahead.
    """
    window = history.window(max(WINDOW_SECONDS, seconds))
    if len(window) < 2:
        return Unknown("only one sample")
    newest = history.window(NEWEST_SECONDS)
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
    window = history.window(seconds)
    if not window:
        return {}
    counts = moves(window[0], window[-1])
    total = sum(counts.values())
    mean = total / len(counts) if counts else 0.0
    farthest = max(max(counts.values()) - mean, mean - min(counts.values())) if counts else 0.0
    if total == 0 or farthest <= mean / 4 or farthest <= 3 * (mean * batch()) ** 0.5 + 1:
        return dict.fromkeys(counts, 1 / len(counts)) if counts else {}
    return {tp: count / total for tp, count in counts.items()}


def _batch(history: History) -> float:
    """Records that come together, by how unlike the looks of the window are: chi squared for each degree of freedom.

    Two partitions that get 1,000 and 0, 0 and 1,000, and so on, at four looks: 500 expected in each of 8 cells, so
    8 * 500^2 / 500 = 4,000, over 3 * 1 degrees: about 1,300. At least 1, as records that come singly have.
    """
    window = history.window(WINDOW_SECONDS)
    every = [moves(before, now) for before, now in pairwise(window)]
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


def moves(first: Sample, last: Sample) -> dict[TopicPartition, int]:
    """Records by which the log end of each partition moved on."""
    if first.is_aligned(last):
        return dict(zip(last.partitions, at_least_0(last.ends, first.ends), strict=True))
    earlier = first.readings
    return {tp: max(0, reading.end - earlier[tp].end) if tp in earlier else 0 for tp, reading in last.readings.items()}


def _grown(first: Sample, last: Sample) -> int:
    """Records by which the log ends of all partitions moved on."""
    if first.is_aligned(last):
        return sum(at_least_0(last.ends, first.ends))
    earlier = first.readings
    return sum(reading.end - earlier[tp].end for tp, reading in last.readings.items()
               if tp in earlier and reading.end > earlier[tp].end)


def at_least_0(more: Iterable[int], less: Iterable[int]) -> list[int]:
    """The differences of two columns, place by place; 0 where one would be negative."""
    return [difference if difference > 0 else 0 for difference in map(sub, more, less)]


def drain(history: History, policy: Policy, interval: float | Unknown) -> float | Unknown:
    """Records/s that the group processes, over a window without a rewind or a rebalance."""
    needed = WINDOW_SECONDS
    if not isinstance(interval, Unknown):
        needed = max(needed, WINDOW_COMMIT_INTERVALS * interval)
    window = history.window(needed, history.drain_since)
    watched = window[-1].at - window[0].at if window else 0.0
    if watched < WINDOW_SECONDS:
        return Unknown(f"committed offsets moved undisturbed for {watched:.0f} s of {WINDOW_SECONDS:.0f} s")
    return processed(history, policy.offset_reset, window[0], window[-1], window[-1].readings) / watched


def processed(history: History, reset: OffsetReset, first: Sample, last: Sample,
              only: Iterable[TopicPartition]) -> int:
    """Records by which the positions of `only` moved on between two samples."""
    is_all = only is last.readings and first.is_aligned(last)
    if is_all and first.positions is not None and last.positions is not None:
        return sum(at_least_0(last.positions, first.positions))
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


def has_committed(before: Sample, now: Sample, tp: TopicPartition) -> bool:
    old, new = before.readings.get(tp), now.readings.get(tp)
    if old is None or new is None:
        return old is not new
    return old is not new and old.committed != new.committed


def committed(before: Sample, now: Sample) -> Collection[TopicPartition]:
    """The partitions of the later sample, and those that it lacks, whose committed offset is not as it was before."""
    if not before.is_aligned(now):
        earlier, later = before.readings, now.readings
        moved = {tp for tp, reading in later.items()
                 if (old := earlier.get(tp)) is None or old.committed != reading.committed}
        return moved | {tp for tp in earlier if tp not in later}
    return {tp for tp, old, new in zip(now.partitions, before.commits, now.commits, strict=True) if old != new}


def _arrived(first: Sample, last: Sample) -> float:
    seconds = last.at - first.at
    if first.is_aligned(last):
        return (sum(last.ends) - sum(first.ends)) / seconds
    earlier = first.readings
    return sum(reading.end - earlier[tp].end for tp, reading in last.readings.items() if tp in earlier) / seconds


def _lasting(window: tuple[Sample, ...]) -> float:
    """Records/s over the window without the interval in which most arrived."""
    intervals = [(now.at - before.at, _grown(before, now)) for before, now in pairwise(window)]
    seconds, most = max(intervals, key=lambda each: each[1])
    rest = window[-1].at - window[0].at - seconds
    return (sum(number for _, number in intervals) - most) / rest if rest else 0.0


def end_of(sample: Sample, tp: TopicPartition, otherwise: Reading) -> int:
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
