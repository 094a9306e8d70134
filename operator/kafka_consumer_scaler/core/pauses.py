"""The pause of a rebalance, read from offsets: how long the partitions that changed hands were not committed.

Under an eager assignor all partitions stand still; under a cooperative one those that get another consumer do, and
their records wait all the same. 12 partitions of 3 consumers, a fourth one joins and takes 3 of them: those 3 are
committed again 228 s later, so the pause is 228 s, though the group as a whole never stood still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from kafka_consumer_scaler.core.commits import longest_of_guessed
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory, Scaled
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import has_committed
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import INCREMENTAL_STATES, Group, Sample, TopicPartition, Unknown

PAUSE_SECONDS_MAX = 1800.0
LONG_PAUSE_POLLS = 3
"""A standstill of so many polls after a change is a pause."""
BEGINS_POLLS = 4
BEGINS_JOINS = 4
SHORT_PAUSES = 2
"""The learned pause is discarded once this many of it have passed after a change without a long pause."""


def with_long_pause(policy: Policy, history: History, situation: Situation) -> Memory:
    """The memory with the pause of the rebalance after the last change, up or down, if many polls saw it.

    Shorter pauses cannot be distinguished from the time between two commits. A change without a long pause discards
    the one that was learned before: it may have been an outage.
    """
    memory, last, group = situation.memory, situation.memory.last_scale, situation.group
    if last is None or memory.paused_at == last.at or isinstance(group, Unknown) or group.is_rebalancing:
        return memory
    samples = _from_rebalance([sample for sample in history.samples
                               if sample.at >= last.at - policy.polling_interval_seconds])
    if len(samples) < 3 or samples[1].at > last.at + _begins_within(policy, situation, last):
        return memory
    seconds = _paused_seconds(samples, situation)
    if seconds is None:
        return memory
    known, shortest = memory.pause_seconds or 0.0, _shortest_pause_seconds(policy, situation)
    if seconds >= shortest:
        return replace(memory, paused_at=last.at, pause_seconds=min(PAUSE_SECONDS_MAX, max(seconds, known)))
    is_over = situation.now - last.at > situation.join_seconds + SHORT_PAUSES * known
    return replace(memory, paused_at=None, pause_seconds=None) if known >= shortest and is_over else memory


def _begins_within(policy: Policy, situation: Situation, change: Scaled) -> float:
    """Within how many seconds after a change its rebalance begins; a later one is that of a crash or a rollout.

    Members that leave are seen at once, newcomers once they have started.
    """
    polls = BEGINS_POLLS * policy.polling_interval_seconds
    return polls if change.after < change.before else max(polls, BEGINS_JOINS * situation.join_seconds)


def _from_rebalance(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples from the last one before the first rebalance among them; none without a rebalance."""
    for place, (_, now) in enumerate(pairwise(samples)):
        if _is_rebalancing(now):
            return samples[place:]
    return ()


def _paused_seconds(samples: Sequence[Sample], situation: Situation) -> float | None:
    """The median standstill of the partitions that changed hands, or of all; None until most of them go on."""
    before, now = _owners(samples[0]), _owners(samples[-1])
    waiting = [tp for tp in samples[-1].readings if tp not in situation.stuck and _has_records(samples, tp)]
    moved = [tp for tp in waiting if before.get(tp) != now.get(tp)] or waiting
    stood = [seconds for tp in moved if (seconds := _standstill(samples, tp)) is not None]
    return median(stood) if stood and 2 * len(stood) >= len(moved) else None


def _standstill(samples: Sequence[Sample], tp: TopicPartition) -> float | None:
    """For how long a partition was not committed, up to its first commit after the rebalance; None before that.

    A consumer commits what it hands over, while the group rebalances.
    """
    since = samples[0].at
    for before, now in pairwise(samples):
        if not has_committed(before, now, tp):
            continue
        if not _is_rebalancing(now):
            return before.at - since
        since = now.at
    return None


def _has_records(samples: Sequence[Sample], tp: TopicPartition) -> bool:
    """Whether there was something to process since the first sample."""
    before, now = samples[0].readings.get(tp), samples[-1].readings[tp]
    return before is not None and (not isinstance(before.committed, int) or now.end > before.committed)


def _is_rebalancing(sample: Sample) -> bool:
    """Also where the members that keep their partitions go on."""
    group = sample.group
    return isinstance(group, Group) and (group.is_rebalancing or group.state in INCREMENTAL_STATES)


def _owners(sample: Sample) -> Mapping[TopicPartition, str]:
    if isinstance(sample.group, Unknown):
        return {}
    return {tp: member.id for member in sample.group.members for tp in member.partitions}


def _shortest_pause_seconds(policy: Policy, situation: Situation) -> float:
    """The shortest standstill that cannot be the time between two commits, seconds."""
    interval, polls = situation.commit_interval, LONG_PAUSE_POLLS * policy.polling_interval_seconds
    if isinstance(interval, Unknown):
        return polls
    return max(polls, longest_of_guessed(interval) if situation.is_interval_guessed else interval)
