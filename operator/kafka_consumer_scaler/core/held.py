"""Topics whose consumers hold records back on purpose, such as retry topics: a record counts as backlog once it is due.

A consumer that holds each record back for D seconds processes it at the age of D, whatever its capacity, so the age at
which records are processed stays the same. In a backlog it rises or falls. Three things together show a topic that is
held back: records were processed at the same age for eight times the uncertainty of an age, by the same consumers; and
another topic is current, or they do much less than they can; and that age is four times its uncertainty. A topic
that stood still as a whole while another one moved is taken for one from its first commit on: all its records were as
old as the standstill.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.commits import ASKED_PARTITIONS
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Held
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import WINDOW_SECONDS, position, processed
from kafka_consumer_scaler.core.snapshot import Sample, TopicPartition, Unknown

UNCERTAIN_SHARE = 0.05
UNCERTAIN_POLLS = 2
"""Uncertainty of an age: a commit interval, this many polls, and this share of the age."""
LONG_TIMES = 4
"""Records processed at an age beyond this many uncertainties are held back, or a backlog."""
CONSTANT_TIMES = 8
SPARE_SHARE = 0.5
FULL_SHARE = 0.9
"""Below this share of their capacity, consumers have spare capacity for sure; above the other one they have none."""
WATCHED_SHARE = 0.75
MOVES_AT_LEAST = 3
STOOD_SECONDS = 60.0
KEPT_SECONDS = 3600.0
KEPT_DELAYS = 2
"""How long a topic counts as held back without new evidence, or this many times its delay."""
Topics = Mapping[str, list[TopicPartition]]


@dataclass(frozen=True, slots=True)
class _Course:
    """A topic over time: when it was polled (s), and its partitions' ends and positions, summed (records)."""

    at: list[float]
    ends: list[int]
    done: list[int]

    def processed_at(self, poll: int) -> float:
        """Age of the newest record that was processed when the poll saw the topic go on, seconds; at least so much."""
        record = self.done[poll] - 1
        later = bisect_right(self.ends, record, hi=poll + 1)
        if later == 0:
            return self.at[poll] - self.at[0]
        if later > poll:
            return 0.0
        before, after = self.ends[later - 1], self.ends[later]
        share = (record - before) / (after - before)
        return self.at[poll] - (self.at[later - 1] + share * (self.at[later] - self.at[later - 1]))

    def moves(self) -> list[int]:
        """The polls that saw it go on."""
        return [poll for poll in range(1, len(self.at)) if self.done[poll] > self.done[poll - 1]]

    def is_older(self, poll: int) -> bool:
        """Whether the record that was processed then is older than the course."""
        return self.ends[0] >= self.done[poll]


def held_topics(history: History, policy: Policy, interval: float | Unknown, known: tuple[Held, ...],
                capacity: Capacity | None = None) -> tuple[Held, ...]:
    """The topics whose records are held back, for how long, and when that was last shown.

    Args:
        interval: seconds between two commits of a consumer.
        known: what was known before.
        capacity: of a consumer, as it was known before.
    """
    now = history.samples[-1].at
    before = {each.topic: each for each in known
              if now - each.at <= max(KEPT_SECONDS, KEPT_DELAYS * each.seconds)}
    if isinstance(interval, Unknown) or len(history.samples) < MOVES_AT_LEAST:
        return tuple(before.values())
    uncertain = interval + UNCERTAIN_POLLS * policy.polling_interval_seconds
    topics = _topics(history.samples[-1].readings)
    found = {}
    for topic in sorted({*before, *_late(history, policy, LONG_TIMES * uncertain)} & topics.keys()):
        others = [tps for name, tps in topics.items() if name != topic]
        load = _load(history, policy, topics[topic], capacity)
        held = _held(history, policy, topic, topics[topic], others, uncertain, before.get(topic), load)
        if held is not None:
            found[topic] = held
    return tuple(found.values())


def not_due(history: History, held: Iterable[Held], policy: Policy, interval: float | Unknown,
            lag: Mapping[TopicPartition, float]) -> Mapping[TopicPartition, float]:
    """The lag without the records that are held back: those not older than the topic's delay."""
    delays = {each.topic: each.seconds + 2 * uncertainty(policy, interval, each.seconds) for each in held}
    return {tp: min(behind, _older(history, tp, behind, delays[tp.topic])) if tp.topic in delays else behind
            for tp, behind in lag.items()}


def uncertainty(policy: Policy, interval: float | Unknown, seconds: float) -> float:
    """How well an age is known, seconds."""
    commits = 0.0 if isinstance(interval, Unknown) else interval
    return commits + UNCERTAIN_POLLS * policy.polling_interval_seconds + UNCERTAIN_SHARE * seconds


def _older(history: History, tp: TopicPartition, lag: float, seconds: float) -> float:
    """Records of a backlog that are older than `seconds`."""
    newest = history.samples[-1]
    then = history.sample_before(seconds)
    reading = None if then is None else then.readings.get(tp)
    if reading is None:
        return 0.0
    return max(0.0, lag - (newest.readings[tp].end - reading.end))


def _topics(partitions: Iterable[TopicPartition]) -> Topics:
    found: dict[str, list[TopicPartition]] = {}
    for tp in partitions:
        of_topic = found.setdefault(tp.topic, [])
        if len(of_topic) < ASKED_PARTITIONS:
            of_topic.append(tp)
    return found


def _late(history: History, policy: Policy, seconds: float) -> set[str]:
    """Topics with a record older than `seconds`."""
    newest = history.samples[-1]
    then = history.sample_before(seconds)
    if then is None:
        return set()
    if newest.positions is not None and newest.is_aligned(then):
        late = zip(newest.partitions, newest.positions, then.ends, strict=True)
        return {tp.topic for tp, position, end in late if position < end}
    return {tp.topic for tp, reading in newest.readings.items()
            if tp in then.readings and position(history, tp, reading, policy.offset_reset) < then.readings[tp].end}


def _held(history: History, policy: Policy, topic: str, partitions: list[TopicPartition],
          others: list[list[TopicPartition]], uncertain: float, before: Held | None, load: float) -> Held | None:
    course = _course(history, policy, partitions)
    moves = course.moves()
    if not moves:
        return before
    age, now = course.processed_at(moves[-1]), course.at[-1]
    tolerance = uncertain + UNCERTAIN_SHARE * age
    if before is not None and age < before.seconds - tolerance:
        return None
    if age <= LONG_TIMES * tolerance:
        return before
    seen = _same_ages(history, policy, course, moves, others, tolerance, load)
    if not seen or max(seen) - min(seen) > tolerance:
        return before
    if before is None:
        return Held(topic, min(seen), now)
    if min(seen) > before.seconds + 2 * tolerance:
        return before
    return Held(topic, min(before.seconds, *seen), now)


def _load(history: History, policy: Policy, partitions: list[TopicPartition], capacity: Capacity | None) -> float:
    """The share of their capacity that the consumers of these partitions use; SPARE_SHARE where it is not known."""
    newest = history.samples[-1]
    then = history.sample_before(WINDOW_SECONDS)
    if capacity is None or not capacity.learned or then is None or isinstance(newest.group, Unknown):
        return SPARE_SHARE
    hands = [member.partitions for member in newest.group.members if not member.partitions.isdisjoint(partitions)]
    done = processed(history, policy.offset_reset, then, newest, frozenset().union(*hands))
    return done / (newest.at - then.at) / (capacity.per_consumer * max(1, len(hands)))


def _same_ages(history: History, policy: Policy, course: _Course, moves: list[int], others: list[list[TopicPartition]],
               tolerance: float, load: float) -> list[float]:
    """The ages at which records were processed since they have to be the same; none where that is too short."""
    age, start = course.processed_at(moves[-1]), _first_move(course, moves)
    if start is not None and _one_moved(history, policy, others, course.at[start] - age, course.at[start - 1]):
        return [course.processed_at(move) for move in moves if move >= start]
    if load >= FULL_SHARE or (load >= SPARE_SHARE and not _one_is_current(history, policy, others, tolerance)):
        return []
    needed = CONSTANT_TIMES * tolerance
    if history.drain_since > course.at[-1] - needed:
        return []
    recent = [move for move in moves if course.at[move] >= course.at[-1] - needed]
    watched = course.at[recent[-1]] - course.at[recent[0]] if recent else 0.0
    if len(recent) < MOVES_AT_LEAST or watched < WATCHED_SHARE * needed or course.is_older(recent[0]):
        return []
    return [course.processed_at(move) for move in recent]


def _first_move(course: _Course, moves: list[int]) -> int | None:
    """The poll that saw the topic go on after its last long standstill with a backlog; None without one."""
    for earlier, move in reversed(list(pairwise([0, *moves]))):
        waited = [poll for poll in range(earlier, move) if course.ends[poll] > course.done[poll]]
        if waited and course.at[move - 1] - course.at[waited[0]] >= STOOD_SECONDS:
            return move
    return None


def _one_moved(history: History, policy: Policy, others: list[list[TopicPartition]], since: float,
               until: float) -> bool:
    """Whether another topic went on while this one stood still."""
    window = [sample for sample in history.samples if since <= sample.at <= until]
    if len(window) < 2:
        return False
    first, last = window[0], window[-1]
    return any(_done(history, policy, last, tps) > _done(history, policy, first, tps) for tps in others)


def _one_is_current(history: History, policy: Policy, others: list[list[TopicPartition]], tolerance: float) -> bool:
    """Whether another topic with traffic has no record older than `tolerance` seconds."""
    newest = history.samples[-1]
    then = history.sample_before(tolerance)
    if then is None:
        return False
    for tps in others:
        done = _done(history, policy, newest, tps)
        if done > _done(history, policy, then, tps) and done >= _ends(then, tps):
            return True
    return False


def _course(history: History, policy: Policy, partitions: list[TopicPartition]) -> _Course:
    samples = []
    for sample in reversed(history.samples):
        if any(tp not in sample.readings for tp in partitions):
            break
        samples.append(sample)
    samples.reverse()
    return _Course([sample.at for sample in samples], [_ends(sample, partitions) for sample in samples],
                   [_done(history, policy, sample, partitions) for sample in samples])


def _ends(sample: Sample, partitions: list[TopicPartition]) -> int:
    return sum(sample.readings[tp].end for tp in partitions if tp in sample.readings)


def _done(history: History, policy: Policy, sample: Sample, partitions: list[TopicPartition]) -> int:
    return sum(position(history, tp, sample.readings[tp], policy.offset_reset)
               for tp in partitions if tp in sample.readings)
