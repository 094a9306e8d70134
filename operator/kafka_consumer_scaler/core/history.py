"""Bounded snapshots of one group, and since when they tell an unbroken story.

A recreated topic (an end offset fell) starts the story anew; a rewind (a committed offset fell) or a rebalance ends
what the committed offsets tell about drain; three bad samples in a row end the unbroken row that a scale-down asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import exp2, inf
from typing import TypeVar

from kafka_consumer_scaler.core.policy import OffsetReset
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import (
    INCREMENTAL_STATES,
    Group,
    Reading,
    Sample,
    Snapshot,
    TopicPartition,
    Uncommitted,
    Unknown,
)

SPAN_SECONDS = 600.0
SPAN_SECONDS_MAX = 14_400.0
SPAN_STANDSTILLS = 4
"""The history spans four standstills: consumers that commit every ten minutes were then seen to commit four times."""
SPAN_AGES = 4
SPAN_GROWTH = 1.25
"""And four times the age at which records are processed; until it does, nothing is left out of it."""
DENSE_SECONDS = 90.0
SPARSE_STEP_SECONDS = 10.0
SPARSE_SHARE = 0.05
"""Beyond SPAN_SECONDS, samples are so far apart, as a share of their age."""
SAMPLES_AT_LEAST = 4
LEFT_KEPT = 100
FAILURES_TOLERATED = 2
"""Bad samples in a row that the good ones around them tell over: a window may miss a look or two, not a minute."""
T = TypeVar("T")
NO_SAMPLE = Unknown("no sample yet", Reason.WAITING_FOR_FIRST_SAMPLE)


@dataclass(frozen=True, slots=True)
class History:
    """What was seen of one group, oldest first.

    Args:
        samples: the complete snapshots, each with its partitions in order: all of the last 90 s, then one every 10 s up
            to 600 s, then ever fewer up to `span_seconds`, never fewer than four.
        span_seconds: how far the samples reach back: 600 s, and longer for a group that commits rarely, or whose
            records are old when they are processed.
        standing: for each topic with lag, the sample since which most of its partitions with lag were not committed.
        latest: the newest sample, or why the newest snapshot gave none.
        latest_at: when the newest snapshot was taken.
        baselines: where counting starts for a partition without a committed offset.
        unbroken_since: start of the row of complete samples, of which no more than two in a row are missing.
        failed_at: when the newest snapshot without a sample was taken.
        committed_at: when a committed offset was last seen to differ from the sample before; None while none was.
        drain_since: since when committed offsets moved forward only, with a stable membership.
        quiet_since: since when no end offset and no committed offset moved.
        rewound_at: when a committed offset was last seen to fall.
        failures: polls in a row without a complete sample.
        joined: when each present member was first seen; -inf for those of the first sample.
        left: when members that are gone were first seen, and when they were gone; of the last 600 s, the newest.
        recreated: topics whose end offset was last seen to fall, and when; None when that was never seen.
    """

    samples: tuple[Sample, ...] = ()
    latest: Sample | Unknown = NO_SAMPLE
    latest_at: float | None = None
    span_seconds: float = SPAN_SECONDS
    standing: Mapping[str, Sample] = field(default_factory=dict)
    baselines: Mapping[TopicPartition, int] = field(default_factory=dict)
    unbroken_since: float | None = None
    failed_at: float | None = None
    committed_at: float | None = None
    drain_since: float = 0.0
    quiet_since: float = 0.0
    rewound_at: float | None = None
    failures: int = 0
    joined: Mapping[str, float] = field(default_factory=dict)
    left: tuple[tuple[float, float], ...] = ()
    recreated: tuple[float, frozenset[str]] | None = None

    def append(self, snapshot: Snapshot) -> History:
        """The history with one more snapshot. Snapshots that are not newer than the latest are left out."""
        if self.latest_at is not None and snapshot.at <= self.latest_at:
            return self
        sample = snapshot.complete()
        if isinstance(sample, Unknown):
            return self._failed(sample, snapshot.at)
        sample = replace(sample, readings=dict(sorted(sample.readings.items(), key=_name)))
        if self.samples:
            sample = _shared(_judged_by_offsets(sample, self.samples[-1]), self.samples[-1])
        before = self.samples[-1].readings if self.samples else {}
        fallen = frozenset(tp.topic for tp, reading in sample.readings.items()
                           if reading.end < (before[tp].end if tp in before else self._last_end(tp)))
        if fallen:
            return replace(History().append(snapshot), recreated=(snapshot.at, fallen))
        return self._continued(sample, before)

    def _failed(self, why: Unknown, at: float) -> History:
        failures = self.failures + 1
        since = self.unbroken_since if failures <= FAILURES_TOLERATED else None
        return replace(self, latest=why, latest_at=at, unbroken_since=since, failed_at=at, failures=failures)

    def _last_end(self, tp: TopicPartition) -> int:
        """Its end in the newest sample that has it: a topic may be gone for some looks before it is made again."""
        return next((sample.readings[tp].end for sample in reversed(self.samples) if tp in sample.readings), 0)

    def _continued(self, sample: Sample, before: Mapping[TopicPartition, Reading]) -> History:
        now = sample.readings
        rewound = any(_fell(before.get(tp), reading) for tp, reading in now.items())
        rebalancing = isinstance(sample.group, Group) and sample.group.is_rebalancing
        joined, left = self._turnover(sample)
        standing = _standing(self.standing, sample)
        span = self._span(sample, standing)
        return History(
            samples=_thinned((*self.samples, sample), span),
            latest=sample,
            latest_at=sample.at,
            span_seconds=span,
            standing=standing,
            baselines=_baselines(self.baselines, before, now),
            unbroken_since=sample.at if self.unbroken_since is None else self.unbroken_since,
            committed_at=sample.at if _is_commit_seen(before, now) else self.committed_at,
            drain_since=sample.at if rewound or rebalancing or not before else self.drain_since,
            failed_at=self.failed_at,
            quiet_since=sample.at if _is_any_moved(before, now) else self.quiet_since,
            rewound_at=sample.at if rewound else self.rewound_at,
            joined=joined,
            left=left,
            recreated=self.recreated,
        )

    def _span(self, sample: Sample, standing: Mapping[str, Sample]) -> float:
        """Seconds to keep: four standstills, and four times the age at which records are processed.

        What neither of them needs any more is halved within its own length.
        """
        if not self.samples:
            return self.span_seconds
        elapsed, watched = sample.at - self.samples[-1].at, sample.at - self.samples[0].at
        stood = max((sample.at - since.at for since in standing.values()), default=0.0)
        needed = SPAN_GROWTH * watched if self._processes_old(sample, sample.at - watched / SPAN_AGES) else 0.0
        before = self.span_seconds * exp2(-elapsed / self.span_seconds)
        return min(SPAN_SECONDS_MAX, max(SPAN_SECONDS, SPAN_STANDSTILLS * stood, needed, before))

    def _processes_old(self, sample: Sample, at: float) -> bool:
        """Whether a record was processed since the newest sample that arrived before `at`."""
        newest = self.samples[-1].readings
        then = next(each for each in reversed(self.samples) if each.at <= at).readings
        return any(tp in then and tp in newest and _went_on(newest[tp], now) and isinstance(now.committed, int)
                   and now.committed <= then[tp].end for tp, now in sample.readings.items())

    def _turnover(self, sample: Sample) -> tuple[Mapping[str, float], tuple[tuple[float, float], ...]]:
        """Who is there since when, and who has come and gone; nothing new where the group is not known."""
        if isinstance(sample.group, Unknown):
            return self.joined, self.left
        ids = {member.id for member in sample.group.members}
        if ids == self.joined.keys():
            return self.joined, self.left
        first = sample.at if any(isinstance(each.group, Group) for each in self.samples) else -inf
        gone = ((at, sample.at) for name, at in self.joined.items() if name not in ids)
        left = [each for each in (*self.left, *gone) if sample.at - each[1] <= SPAN_SECONDS]
        return {name: self.joined.get(name, first) for name in ids}, tuple(left[-LEFT_KEPT:])

    def position(self, tp: TopicPartition, reading: Reading, reset: OffsetReset) -> int | Unknown:
        """The first offset the group has not processed: `max(committed, start)`; uncommitted by `offsetReset`."""
        if isinstance(reading.committed, int):
            return max(reading.committed, reading.start)
        if reset is OffsetReset.EARLIEST:
            return reading.start
        if reset is OffsetReset.LATEST:
            return max(self.baselines.get(tp, reading.end), reading.start)
        return Unknown(f"{tp} has no committed offset and offsetReset is none", Reason.NO_COMMITTED_OFFSETS)

    def without(self, partitions: Collection[TopicPartition]) -> History:
        """The same history, whose latest sample lacks some partitions: they count for nothing."""
        newest = self.samples[-1]
        kept = {tp: reading for tp, reading in newest.readings.items() if tp not in partitions}
        latest = replace(newest, readings=kept)
        return replace(self, samples=(*self.samples[:-1], latest), latest=latest)

    def window(self, seconds: float, since: float = 0.0) -> tuple[Sample, ...]:
        """The samples since the newest one that is at least so many seconds old; all of them when none is.

        Args:
            since: samples from before that time are left out, seconds since the epoch.
        """
        samples = self.since(since)
        for index in range(len(samples) - 1, -1, -1):
            if samples[-1].at - samples[index].at >= seconds:
                return samples[index:]
        return samples

    def sample_before(self, seconds: float) -> Sample | None:
        """The newest sample that is at least so many seconds old; None where the history does not reach back so far."""
        newest = self.samples[-1].at
        return next((sample for sample in reversed(self.samples) if newest - sample.at >= seconds), None)

    def since(self, at: float) -> tuple[Sample, ...]:
        """The samples taken at `at` or later."""
        return tuple(sample for sample in self.samples if sample.at >= at)


def _judged_by_offsets(sample: Sample, before: Sample) -> Sample:
    """The sample, whose group is working if its members kept their partitions and a committed offset moved forward."""
    group = sample.group
    if not isinstance(group, Group) or group.state not in INCREMENTAL_STATES or not isinstance(before.group, Group):
        return sample
    has_assignments = any(member.partitions for member in group.members)
    if not has_assignments or group.members != before.group.members:
        return sample
    if not any(_went_on(before.readings.get(tp), reading) for tp, reading in sample.readings.items()):
        return sample
    return replace(sample, group=replace(group, is_working=True))


def _went_on(before: Reading | None, now: Reading) -> bool:
    if before is None or isinstance(before.committed, Uncommitted) or isinstance(now.committed, Uncommitted):
        return False
    return now.committed > before.committed


def _name(item: tuple[TopicPartition, Reading]) -> TopicPartition:
    return item[0]


def _shared(sample: Sample, before: Sample) -> Sample:
    """The sample, with what is as it was before in the same objects: hundreds are kept, and most tell the same.

    A partition at rest costs one reading and not one for each look, and its name is one object in all of them.
    """
    names = {tp: tp for tp in before.readings}
    readings = {names.get(tp, tp): _either(before.readings.get(tp), now) for tp, now in sample.readings.items()}
    found = Sample(sample.at, readings, _either(before.group, sample.group), _either(before.details, sample.details))
    if found.is_aligned(before):
        vars(found)["partitions"] = before.partitions  # one tuple for all: small, and compared at once
    return found


def _either(before: T | None, now: T) -> T:
    """The older of two that are equal."""
    return before if before is not None and before == now else now


def _is_any_moved(before: Mapping[TopicPartition, Reading], now: Mapping[TopicPartition, Reading]) -> bool:
    """Whether an end or a committed offset is not as it was, or the partitions are not the same."""
    return before.keys() != now.keys() or any(
        reading is not before[tp] and (reading.end, reading.committed) != (before[tp].end, before[tp].committed)
        for tp, reading in now.items())


def _is_commit_seen(before: Mapping[TopicPartition, Reading], now: Mapping[TopicPartition, Reading]) -> bool:
    """Whether a committed offset is not as it was before; that of a partition that was not there is not."""
    return any(tp not in before or before[tp].committed != reading.committed for tp, reading in now.items())


def _fell(before: Reading | None, now: Reading) -> bool:
    if before is None or isinstance(before.committed, Uncommitted) or isinstance(now.committed, Uncommitted):
        return False
    return now.committed < before.committed


def _baselines(baselines: Mapping[TopicPartition, int], before: Mapping[TopicPartition, Reading],
               now: Mapping[TopicPartition, Reading]) -> Mapping[TopicPartition, int]:
    """An expired commit leaves its last value as the baseline; a partition that never had one starts at its end."""
    kept = {}
    for tp, reading in now.items():
        if isinstance(reading.committed, Uncommitted):
            last = before[tp].committed if tp in before else None
            kept[tp] = last if isinstance(last, int) else baselines.get(tp, reading.end)
    return kept


def _standing(before: Mapping[str, Sample], now: Sample) -> Mapping[str, Sample]:
    """For each topic with lag, the sample since which most of its partitions with lag were not committed."""
    behind: dict[str, int] = {}
    stood: dict[str, int] = {}
    for tp, reading in now.readings.items():
        if isinstance(reading.committed, int) and reading.committed < reading.end:
            since = before[tp.topic].readings.get(tp) if tp.topic in before else None
            behind[tp.topic] = behind.get(tp.topic, 0) + 1
            stood[tp.topic] = stood.get(tp.topic, 0) + (since is not None and since.committed == reading.committed)
    return {topic: before[topic] if 2 * stood[topic] > number else now for topic, number in behind.items()}


def _thinned(samples: tuple[Sample, ...], span: float) -> tuple[Sample, ...]:
    """Bounded at any interval: 1 s polling keeps about 90 + 51 samples, and 64 more for a span of four hours."""
    newest = samples[-1].at
    kept: list[Sample] = []
    for index, sample in enumerate(samples):
        age = newest - sample.at
        is_recent = age <= DENSE_SECONDS or len(samples) - index <= SAMPLES_AT_LEAST
        step = SPARSE_STEP_SECONDS if age <= SPAN_SECONDS else SPARSE_SHARE * age
        is_a_step = age <= span and (not kept or sample.at - kept[-1].at >= step)
        if is_recent or is_a_step:
            kept.append(sample)
    return tuple(kept)
