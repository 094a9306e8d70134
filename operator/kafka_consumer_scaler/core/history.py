"""Bounded snapshots of one group, and since when they tell an unbroken story.

A recreated topic (an end offset fell) starts the story anew; a rewind (a committed offset fell) or a rebalance ends
what the committed offsets tell about drain; three bad samples in a row end the unbroken row that a scale-down asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import inf
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
DENSE_SECONDS = 90.0
SPARSE_STEP_SECONDS = 10.0
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
        samples: the complete snapshots: all of the last 90 s, then one every 10 s up to 600 s, never fewer than four.
        latest: the newest sample, or why the newest snapshot gave none.
        latest_at: when the newest snapshot was taken.
        baselines: where counting starts for a partition without a committed offset.
        unbroken_since: start of the row of complete samples, of which no more than two in a row are missing.
        failed_at: when the newest snapshot without a sample was taken.
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
    baselines: Mapping[TopicPartition, int] = field(default_factory=dict)
    unbroken_since: float | None = None
    failed_at: float | None = None
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
        return History(
            samples=_thinned((*self.samples, sample)),
            latest=sample,
            latest_at=sample.at,
            baselines=_baselines(self.baselines, before, now),
            unbroken_since=sample.at if self.unbroken_since is None else self.unbroken_since,
            drain_since=sample.at if rewound or rebalancing or not before else self.drain_since,
            failed_at=self.failed_at,
            quiet_since=sample.at if _offsets(before) != _offsets(now) else self.quiet_since,
            rewound_at=sample.at if rewound else self.rewound_at,
            joined=joined,
            left=left,
            recreated=self.recreated,
        )

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


def _shared(sample: Sample, before: Sample) -> Sample:
    """The sample, with what is as it was before in the same objects: hundreds are kept, and most tell the same.

    A partition at rest costs one reading and not one for each look, and its name is one object in all of them.
    """
    names = {tp: tp for tp in before.readings}
    readings = {names.get(tp, tp): _either(before.readings.get(tp), now) for tp, now in sample.readings.items()}
    return Sample(sample.at, readings, _either(before.group, sample.group), _either(before.details, sample.details))


def _either(before: T | None, now: T) -> T:
    """The older of two that are equal."""
    return before if before is not None and before == now else now


def _offsets(readings: Mapping[TopicPartition, Reading]) -> Mapping[TopicPartition, tuple[int, int | Uncommitted]]:
    return {tp: (reading.end, reading.committed) for tp, reading in readings.items()}


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


def _thinned(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Bounded at any interval: 1 s polling keeps about 90 + 51 samples."""
    newest = samples[-1].at
    kept: list[Sample] = []
    for index, sample in enumerate(samples):
        age = newest - sample.at
        is_recent = age <= DENSE_SECONDS or len(samples) - index <= SAMPLES_AT_LEAST
        is_a_step = age <= SPAN_SECONDS and (not kept or sample.at - kept[-1].at >= SPARSE_STEP_SECONDS)
        if is_recent or is_a_step:
            kept.append(sample)
    return tuple(kept)
