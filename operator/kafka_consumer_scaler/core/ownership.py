"""Whose members a group has: those of our replicas, and foreign ones that hold partitions that count.

A member is identified before it is counted. Members that hold only partitions of other topics are neither. The members
of one replica (consumer threads) are learned: from the members that came or went with a change of replicas, and until
a change was seen, from the number of members for each replica.

    1 replica, 3 members hold partitions:               3 threads in a replica, none foreign
    then 2 replicas, 6 members:                          3 threads, learned; 4 members: 1 thread, and 2 are foreign
    2 replicas, 5 members:                               1 thread, and 3 are foreign

`consumerThreads` overrides what is learned.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory, Scaled, Threads
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Group, Member, Replicas, Sample, TopicPartition, Unknown

FEWER_SECONDS = 540.0
"""Nearly all of the history: members that are missing for so long, as many of each replica, are no crash."""
JOINS = 2
"""A group without new members after a scale-up is steady once twice the join time has passed as well."""
STEADY_SECONDS = 60.0
"""A group is steady once no member joined or left for this long, longer than the session of a crashed one."""


def readers(group: Group, counted: Collection[TopicPartition]) -> tuple[Member, ...]:
    """The members that hold a partition that counts, or none at all; those that hold only others are left out."""
    return tuple(member for member in group.members
                 if not member.partitions or _holds(member, counted))


def _holds(member: Member, counted: Collection[TopicPartition]) -> bool:
    """Whether the member holds a partition that counts; most hold nothing else, so the first one answers."""
    return any(tp in counted for tp in member.partitions)


def with_threads(memory: Memory, history: History, policy: Policy, replicas: Replicas, join_seconds: float,
                 now: float) -> Memory:
    """The memory with the threads of a replica as a steady group shows them; nothing is learned from another one.

    Args:
        join_seconds: from asking for replicas to their consumers' having joined.
        now: seconds since the epoch.
    """
    group = history.samples[-1].group
    pods = max(replicas.spec, replicas.existing)
    if policy.consumer_threads is not None or isinstance(group, Unknown):
        return memory
    if group.is_rebalancing or not group.members:
        return memory
    is_steady = steady_seconds(history) >= STEADY_SECONDS and not _may_grow(memory, history, join_seconds, now)
    if not pods or not is_steady:
        return _guessed(memory, group, history.samples[-1], pods, now)
    known, members = memory.threads, len(readers(group, history.samples[-1].readings))
    if known is not None and known.replicas and pods != known.replicas:
        return replace(memory, threads=_by_change(known, pods, members, now))
    if known is not None and known.is_learned and not _has_fewer(known, history, replicas, members):
        return replace(memory, threads=replace(known, replicas=pods, members=members, at=now))
    guess = _by_division(group, history.samples[-1], pods)
    return replace(memory, threads=Threads(guess or 1, pods, members, now))


def _may_grow(memory: Memory, history: History, join_seconds: float, now: float) -> bool:
    """Whether consumers of the last scale-up may all be starting: they exist as replicas before they are members."""
    last = memory.last_scale
    if last is None or last.after <= last.before or now - last.at >= JOINS * join_seconds + STEADY_SECONDS:
        return False
    return all(at <= last.at for at in history.joined.values())


def _has_fewer(known: Threads, history: History, replicas: Replicas, members: int) -> bool:
    """Whether for ten minutes each replica had fewer members than were learned: a release may start fewer of them."""
    if replicas.trouble or replicas.existing != replicas.spec or steady_seconds(history) < FEWER_SECONDS:
        return False
    return members < known.count * replicas.spec and members % replicas.spec == 0


def threads_of(policy: Policy, memory: Memory) -> int:
    """Members that one replica brings: as the user says, as learned, or 1."""
    if policy.consumer_threads is not None:
        return policy.consumer_threads
    return memory.threads.count if memory.threads is not None else 1


def foreign_members(history: History, counted: Collection[TopicPartition], threads: int, replicas: Replicas,
                    scales: Collection[Scaled]) -> int:
    """Members that hold partitions that count and cannot be ours, in each settled sample of the last minute.

    Only as many as were there all the time: a crashed consumer is a member until its session ends, and so are those of
    a replica that just left. A group that was watched for less than a minute has none.
    """
    newest, fewest = history.samples[-1].at, None
    for sample in reversed(history.samples):
        group = sample.group
        if isinstance(group, Unknown) or group.is_rebalancing or not group.members:
            continue
        holding = sum(_holds(member, counted) for member in group.members)
        ours = threads * _most_replicas(replicas, scales, sample.at)
        beyond = max(0, holding - ours)
        fewest = beyond if fewest is None else min(fewest, beyond)
        if fewest == 0 or newest - sample.at >= STEADY_SECONDS:
            return fewest
    return 0


def steady_seconds(history: History) -> float:
    """For how long no member joined or left, as far as it was watched."""
    newest = history.samples[-1].at
    changes = [history.samples[0].at, *(at for _, at in history.left)]
    changes += [at for at in history.joined.values() if at <= newest]
    return newest - max(changes)


def _guessed(memory: Memory, group: Group, sample: Sample, pods: int, now: float) -> Memory:
    """Before anything is known, the first sample that divides evenly tells; a steady one is asked again later."""
    guess = _by_division(group, sample, pods) if memory.threads is None and pods else None
    return memory if guess is None else replace(memory, threads=Threads(guess, 0, 0, now))


def _by_division(group: Group, sample: Sample, pods: int) -> int | None:
    """Members for each replica, where they divide evenly: 6 members of 2 replicas are 3 each.

    Members without a partition are left out: they may be another Deployment's.
    """
    holding = sum(_holds(member, sample.readings) for member in group.members)
    return holding // pods if holding and holding % pods == 0 else None


def _by_change(known: Threads, pods: int, members: int, now: float) -> Threads:
    """Members that came or went with each replica; where they do not divide evenly, what was known stays."""
    each, rest = divmod(members - known.members, pods - known.replicas)
    if rest == 0 and each >= 1:
        return Threads(each, pods, members, now, is_learned=True)
    if members == known.members:
        return known
    return replace(known, replicas=pods, members=members, at=now)


def _most_replicas(replicas: Replicas, scales: Collection[Scaled], at: float) -> int:
    """The most replicas that may have had members at a time: those of now, and of changes since, and their leaving."""
    before = (scale.before for scale in scales if scale.at >= at - STEADY_SECONDS)
    return max(replicas.spec, replicas.existing, *before, 0)
