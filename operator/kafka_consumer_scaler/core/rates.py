"""Lag, age, arrival, drain and capacity, or Unknown with the reason. Records, seconds, records/s.

Arrival is read from end offsets, drain from committed offsets. Consumers commit every few seconds, so a drain over less
than a window is a sawtooth: with commits every 5 s a 60 s window is off by at most 5/60 = 8%.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Sample, TopicPartition, Unknown

WINDOW_SECONDS = 60.0
BUSY_COMMIT_INTERVALS = 2


@dataclass(frozen=True, slots=True)
class Capacity:
    """Records/s of one consumer: `learned` while all consumers were busy, else only a lower bound."""

    per_consumer: float
    learned: bool


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of a group in records/s."""

    arrival: float | Unknown
    drain: float | Unknown
    capacity: Capacity | Unknown


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


def measure(history: History, policy: Policy, known: Capacity | None) -> Rates:
    """All rates of the window that ends with the latest sample."""
    return Rates(_arrival(history), _drain(history, policy), _capacity(history, policy, known))


def age_seconds(history: History, policy: Policy) -> float | Unknown:
    """Age of the oldest unprocessed record, the worst over all partitions; 0 without lag.

    Interpolated from the history of end offsets: with 100 records at t=0 and 200 at t=10, the record at position 150
    arrived at t=5. Older than the history: `lag / arrival`, and never less than the history's length.
    """
    lag = lags(history, policy)
    if isinstance(lag, Unknown):
        return lag
    ages = [_partition_age(history, tp, lag[tp]) for tp in lag if lag[tp] > 0]
    unknown = next((age for age in ages if isinstance(age, Unknown)), None)
    return unknown or max((age for age in ages if not isinstance(age, Unknown)), default=0.0)


def commit_interval_seconds(history: History) -> float | Unknown:
    """Median time between two moves of a partition's committed offset, as far as the polls can tell."""
    gaps: list[float] = []
    for tp in history.samples[-1].readings if history.samples else ():
        moves = [now.at for before, now in pairwise(history.samples)
                 if _committed(before, tp) != _committed(now, tp)]
        gaps += [later - earlier for earlier, later in pairwise(moves)]
    return median(gaps) if gaps else Unknown("no committed offset was seen to move twice")


def consumers(sample: Sample) -> int | Unknown:
    """Members that have partitions; Unknown while the group rebalances or was not described."""
    if isinstance(sample.group, Unknown):
        return sample.group
    if sample.group.is_rebalancing:
        return Unknown("the group is rebalancing")
    return sum(1 for member in sample.group.members if member.partitions)


def _partition_age(history: History, tp: TopicPartition, lag: int) -> float | Unknown:
    newest = history.samples[-1]
    position = newest.readings[tp].end - lag
    later = newest
    for sample in reversed(history.samples[:-1]):
        reading = sample.readings.get(tp)
        if reading is None:
            break
        if reading.end <= position:
            share = (position - reading.end) / (later.readings[tp].end - reading.end)
            return newest.at - (sample.at + share * (later.at - sample.at))
        later = sample
    return _estimated_age(newest, later, tp, lag)


def _estimated_age(newest: Sample, oldest: Sample, tp: TopicPartition, lag: int) -> float | Unknown:
    watched = newest.at - oldest.at
    if watched == 0:
        return Unknown("only one sample")
    arrived = newest.readings[tp].end - oldest.readings[tp].end
    return max(watched, lag * watched / arrived) if arrived > 0 else watched


def _committed(sample: Sample, tp: TopicPartition) -> object:
    reading = sample.readings.get(tp)
    return None if reading is None else reading.committed


def _window(history: History, since: float) -> tuple[Sample, ...]:
    """The samples since the newest one that is at least a window old; all of them when none is."""
    samples = history.since(since)
    if not samples:
        return ()
    old = [index for index, sample in enumerate(samples) if samples[-1].at - sample.at >= WINDOW_SECONDS]
    return samples[old[-1]:] if old else samples


def _arrival(history: History) -> float | Unknown:
    window = _window(history, since=0.0)
    if len(window) < 2:
        return Unknown("only one sample")
    first, last = window[0].readings, window[-1].readings
    arrived = sum(reading.end - first[tp].end for tp, reading in last.items() if tp in first)
    return arrived / (window[-1].at - window[0].at)


def _drain(history: History, policy: Policy) -> float | Unknown:
    window = _window(history, since=history.drain_since)
    watched = window[-1].at - window[0].at if window else 0.0
    if watched < WINDOW_SECONDS:
        return Unknown(f"committed offsets moved undisturbed for {watched:.0f} s of {WINDOW_SECONDS:.0f} s")
    return _drained(history, policy, window[0], window[-1]) / watched


def _drained(history: History, policy: Policy, first: Sample, last: Sample, only: TopicPartition | None = None) -> int:
    def position(sample: Sample, tp: TopicPartition) -> int:
        found = history.position(tp, sample.readings[tp], policy.offset_reset)
        return 0 if isinstance(found, Unknown) else found

    both = [tp for tp in last.readings if tp in first.readings and only in (None, tp)]
    return sum(max(0, position(last, tp) - position(first, tp)) for tp in both)


def _capacity(history: History, policy: Policy, known: Capacity | None) -> Capacity | Unknown:
    """What was learned replaces what is known; a lower bound can only raise it."""
    seen = _capacity_seen(history, policy)
    if isinstance(seen, Unknown):
        return known or seen
    if seen.learned or known is None:
        return seen
    return known if known.per_consumer >= seen.per_consumer else Capacity(seen.per_consumer, known.learned)


def _capacity_seen(history: History, policy: Policy) -> Capacity | Unknown:
    """Drain per consumer over the last stretch with the same consumers.

    Learned: all were busy for a whole window. Else D records committed in w seconds prove D / (w + c) with a commit
    interval of c, as what the first commit holds was processed no earlier than c before the stretch began:
    3 consumers, 6,120 records in 20 s, commits every 5 s: 6,120 / 25 / 3 = 82 of the 102 records/s that each does.
    """
    stretch = _stretch(history)
    watched = stretch[-1].at - stretch[0].at if stretch else 0.0
    count = consumers(stretch[-1]) if stretch else 0
    interval = commit_interval_seconds(history)
    if watched == 0 or isinstance(count, Unknown) or count == 0 or isinstance(interval, Unknown):
        return Unknown("no stretch with the same consumers and their commits was seen")
    drained = _drained(history, policy, stretch[0], stretch[-1])
    if drained == 0:
        return Unknown("nothing was processed")
    if watched >= WINDOW_SECONDS and _all_busy(history, policy, stretch, interval):
        return Capacity(drained / watched / count, learned=True)
    return Capacity(drained / (watched + interval) / count, learned=False)


def _stretch(history: History) -> tuple[Sample, ...]:
    """The samples of the drain's window, as far back as the number of consumers is the present one."""
    window = _window(history, since=history.drain_since)
    same = [sample for sample in window[-1:] if not isinstance(consumers(sample), Unknown)]
    for sample in reversed(window[:-1]):
        if not same or consumers(sample) != consumers(same[-1]):
            break
        same.append(sample)
    return tuple(reversed(same))


def _all_busy(history: History, policy: Policy, stretch: tuple[Sample, ...], interval: float) -> bool:
    """Whether each partition was behind by more than two commit intervals of its drain, in every sample."""
    first, last = stretch[0], stretch[-1]
    for tp in last.readings:
        drained = _drained(history, policy, first, last, only=tp)
        needed = BUSY_COMMIT_INTERVALS * interval * drained / (last.at - first.at)
        if any(_lag(history, policy, sample, tp) <= needed for sample in stretch):
            return False
    return True


def _lag(history: History, policy: Policy, sample: Sample, tp: TopicPartition) -> int:
    if tp not in sample.readings:
        return 0
    position = history.position(tp, sample.readings[tp], policy.offset_reset)
    return 0 if isinstance(position, Unknown) else sample.readings[tp].end - position


