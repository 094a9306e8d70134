"""What is known of a group at one moment: the situation, made of the history, the policy and the memory.

First what does not count is taken out, then doubts are asked for, then rates, causes and the spread are measured once.
The memory goes in as it was and comes out with what the latest sample taught.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import inf

from kafka_consumer_scaler.core.assignment import spread
from kafka_consumer_scaler.core.capacity import Rates, Unseen, measure
from kafka_consumer_scaler.core.commits import likely_commit_interval, measured_commit_interval
from kafka_consumer_scaler.core.diagnosis import (
    NEVER_COMMITS_SECONDS,
    Backlog,
    backlog,
    commits_beyond_end,
    hot_partitions,
    kept_partitions,
    lost_records,
    recreated_topics,
    retention_risk,
    stuck_partitions,
    uncommitted_seconds,
)
from kafka_consumer_scaler.core.effect import kept_capacity, learned
from kafka_consumer_scaler.core.held import held_topics, not_due
from kafka_consumer_scaler.core.history import SPAN_SECONDS, History
from kafka_consumer_scaler.core.membership import (
    UNSEEN_SECONDS,
    hung_transactions,
    memberless_seconds,
    rebalancing_seconds,
    uncounted_partitions,
    unread_partitions,
    unrest,
    works_unseen,
)
from kafka_consumer_scaler.core.memory import Commits, Memory, Unread, Usual
from kafka_consumer_scaler.core.ownership import foreign_members, threads_of, with_threads
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import both_shares, lags
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation, join_seconds_of
from kafka_consumer_scaler.core.snapshot import Group, Replicas, Sample, TopicPartition, Unknown
from kafka_consumer_scaler.core.throttle import counted
from kafka_consumer_scaler.core.waiting import age_marks, ages, oldest, unprocessed

GAP_POLLS = 3
GAP_SECONDS = 30.0
"""Samples further apart than three polls, and this, do not tell what was in between."""
PROFILE_SHARE = 0.1
"""The age profile of a backlog is known to this share of the objective."""
COMMITS_KEPT_SECONDS = 3600.0
COMMITS_KEPT_INTERVALS = 4
UNSEEN_SECONDS_CHANGED = 600.0
"""Consumers that cannot be seen may not commit for so long after a change of the replicas."""
UNREAD_KEPT_SECONDS = 21_600.0
"""For so long, a group without replicas is not woken by topics that it did not read."""


def observe(policy: Policy, history: History, current: Replicas | Unknown, memory: Memory,
            now: float) -> Situation | Unknown:
    """The situation, or why too little is known for decisions."""
    if isinstance(history.latest, Unknown):
        return history.latest
    replicas = current if isinstance(current, Replicas) else Replicas(0, 0)
    unread = _unread(memory, history, replicas, now)
    if replicas.spec and _has_readers(history.samples[-1]):
        memory = _with_unread(memory, history.samples[-1], unread)
    if unread:
        history = history.without(unread)
    lag = lags(history, policy)
    if isinstance(lag, Unknown):
        return lag
    doubt = _doubt(history, lag)
    if doubt is not None:
        return doubt
    found = _measured(policy, history, replicas, lag, memory, now)
    found = replace(found, unread=unread)
    if isinstance(current, Unknown):
        return found
    return replace(found, memory=learned(policy, history, found))


def _measured(policy: Policy, history: History, replicas: Replicas, lag: Mapping[TopicPartition, int], memory: Memory,
              now: float) -> Situation:
    """The situation of a group of which all partitions that count are known."""
    sample = history.samples[-1]
    memory = _with_commits(memory, measured_commit_interval(history, policy), sample.at)
    known = None if memory.commits is None else memory.commits.seconds
    interval = likely_commit_interval(history, policy) if known is None else known
    memory = replace(memory, held=held_topics(history, policy, interval, memory.held, memory.capacity))
    held = {each.topic: each.seconds for each in memory.held}
    waiting = not_due(history, memory.held, policy, interval, unprocessed(history, policy, lag, interval))
    waited = ages(history, waiting)
    memory = _with_unseen(memory, history, sample.at)
    group = _group_seen(sample, memory, oldest(waited))
    lead = join_seconds_of(memory, replicas) + policy.polling_interval_seconds
    seen = _rates(policy, history, memory, interval, _unseen(policy, memory, group, replicas), lead)
    asked = counted(seen.arrival, memory.throttling)
    rates = seen if asked is seen.arrival else replace(seen, arrival=asked)
    stuck = stuck_partitions(history, policy, waiting, held, known)
    standing = backlog(history, policy, _age_that_counts(waited, stuck), seen)
    memory = _remembered(policy, memory, rates, _assignor(sample.group, memory), sample.at)
    memory = _with_usual(_with_members(memory, group, sample.at), standing, rates, replicas, sample.at)
    memory = with_threads(_with_uneven(memory, replicas, sample.at), history, policy, replicas,
                          join_seconds_of(memory, replicas), sample.at)
    threads = threads_of(policy, memory)
    foreign = foreign_members(history, lag, threads, replicas, memory.scales)
    unbroken, shares = _unbroken_seconds(policy, history, now), both_shares(history)
    uncommitted = uncommitted_seconds(history) if sum(lag.values()) else None
    return Situation(
        now=now,
        replicas=replicas,
        group=group,
        lag=lag,
        waiting=waiting,
        stuck=stuck,
        hot=hot_partitions(shares, rates),
        age=oldest({**waited, **ages(history, {tp: behind for tp, behind in lag.items() if behind != waiting[tp]})}),
        ages=waited,
        marks=age_marks(history, waiting, waited, PROFILE_SHARE * policy.lag_seconds),
        shares=shares[0],
        shares_newest=shares[1],
        rates=rates,
        commit_interval=interval,
        is_interval_guessed=known is None,
        commits_unseen=_commits_unseen(history),
        assignor=memory.assignor,
        spread=spread(tuple(lag), memory.assignor, threads, foreign),
        backlog=standing,
        memory=memory,
        quiet_seconds=sample.at - history.quiet_since,
        unbroken_seconds=unbroken,
        unfailed_seconds=inf if history.failed_at is None else now - history.failed_at,
        peace_seconds=min(unbroken, now - memory.last_scale.at) if memory.last_scale else unbroken,
        awaits_first_commit=uncommitted is not None,
        details=sample.details,
        memberless_seconds=memberless_seconds(history),
        unrest=unrest(history),
        hung=hung_transactions(history),
        kept=kept_partitions(history, policy, stuck, known),
        lost=lost_records(history),
        recreated=recreated_topics(history),
        retention=None if standing is Backlog.CAUGHT_UP and not stuck else retention_risk(history, policy),
        held=held,
        rebalancing_seconds=rebalancing_seconds(history),
        observed=seen.arrival,
    )


def _doubt(history: History, lag: Mapping[TopicPartition, int]) -> Unknown | None:
    """What makes the lag that was read no lag to decide by."""
    beyond = commits_beyond_end(history)
    if beyond:
        return Unknown(_beyond_words(beyond), Reason.COMMIT_BEYOND_END)
    uncommitted = uncommitted_seconds(history) if sum(lag.values()) else None
    if uncommitted is not None and uncommitted >= NEVER_COMMITS_SECONDS:
        return Unknown("the group has members and commits no offsets", Reason.NO_COMMITTED_OFFSETS)
    return None


def _rates(policy: Policy, history: History, memory: Memory, interval: float | Unknown,
           unseen: Unseen | None, lead: float) -> Rates:
    held = frozenset(each.topic for each in memory.held)
    seen = measure(history, policy, memory.capacity, interval, unseen, lead, held)
    if isinstance(seen.capacity, Unknown):
        return seen
    return replace(seen, capacity=kept_capacity(memory, seen.capacity))


def _age_that_counts(waited: Mapping[TopicPartition, float | Unknown],
                     stuck: frozenset[TopicPartition]) -> float | Unknown:
    """Age of the oldest record that replicas can help, seconds.

    Stuck partitions are left out, unless they are most of all: then the group stands still as a whole.
    """
    if 2 * len(stuck) > len(waited):
        return oldest(waited)
    return oldest({tp: age for tp, age in waited.items() if tp not in stuck} if stuck else waited)


def _unread(memory: Memory, history: History, replicas: Replicas, now: float) -> Mapping[TopicPartition, float]:
    """The partitions that count for nothing, and for how long it was seen that nobody reads them, seconds."""
    if not replicas.spec:
        return dict.fromkeys(_unread_before(memory, history, now), 0.0)
    unread = unread_partitions(history)
    uncounted = uncounted_partitions(unread, history, _missing_since(memory, replicas))
    return {tp: unread[tp] for tp in sorted(uncounted)}


def _with_unread(memory: Memory, sample: Sample, unread: Mapping[TopicPartition, float]) -> Memory:
    """The topics of which no partition is read; one of which some are read is read."""
    read = {tp.topic for tp in sample.readings if tp not in unread}
    topics = tuple(sorted({tp.topic for tp in unread} - read))
    return replace(memory, unread=Unread(topics, sample.at) if topics else None)



def _unread_before(memory: Memory, history: History, now: float) -> frozenset[TopicPartition]:
    """Without replicas nothing is read: topics that were not read before count for nothing, for some hours."""
    if memory.unread is None or now - memory.unread.at > UNREAD_KEPT_SECONDS:
        return frozenset()
    found = frozenset(tp for tp in history.samples[-1].readings if tp.topic in memory.unread.topics)
    return found if len(found) < len(history.samples[-1].readings) else frozenset()


def _has_readers(sample: Sample) -> bool:
    return isinstance(sample.group, Group) and any(member.partitions for member in sample.group.members)


def _missing_since(memory: Memory, replicas: Replicas) -> float | None:
    """Since when replicas are missing in the group; None when none are, 0 when that is not known."""
    if memory.awaited is not None:
        return memory.awaited.at
    if replicas.existing >= replicas.spec:
        return None
    return memory.last_scale.at if memory.last_scale is not None else 0.0


def _beyond_words(beyond: Mapping[TopicPartition, tuple[int, int]]) -> str:
    """`orders/0 is committed up to 900,000 and its log ends at 5,000, as 11 more partitions are`."""
    tp = min(beyond)
    committed, end = beyond[tp]
    more = f", and {len(beyond) - 1} more partitions are so" if len(beyond) > 1 else ""
    return f"{tp} is committed up to {committed:,} and its log ends at {end:,}{more}"


def _with_unseen(memory: Memory, history: History, at: float) -> Memory:
    """When the group last committed without members; reset once it has members."""
    group = history.samples[-1].group
    if isinstance(group, Group) and group.members:
        return replace(memory, unseen_at=None)
    return replace(memory, unseen_at=at) if works_unseen(history) else memory


def _commits_unseen(history: History) -> bool:
    """Whether a commit was seen while the group had no member; the first sample without one may show a farewell."""
    since = history.samples[-1].at - memberless_seconds(history)
    return history.committed_at is not None and history.committed_at > since


def _group_seen(sample: Sample, memory: Memory, age: float | Unknown) -> Group | Unknown:
    """The group as it is described; a group without members whose offsets go on has members that cannot be seen.

    Where nothing arrives, nothing is committed: they are taken to be there until records wait for long, or for longer
    after a change, whose pause may be long.
    """
    group, last = sample.group, memory.last_scale
    if isinstance(group, Unknown) or group.members or memory.unseen_at is None:
        return group
    is_changed = last is not None and sample.at - last.at <= UNSEEN_SECONDS_CHANGED
    patience = UNSEEN_SECONDS_CHANGED if is_changed else UNSEEN_SECONDS
    if memory.unseen_at < sample.at and (isinstance(age, Unknown) or age > patience):
        return group
    why = f"the group is {group.state} and commits go on: its consumers assign partitions themselves"
    return Unknown(why, Reason.MEMBERS_UNSEEN)


def _unseen(policy: Policy, memory: Memory, group: Group | Unknown, replicas: Replicas) -> Unseen | None:
    """Consumers that work and are no visible members: as many as the replicas bring; None where members are seen."""
    if not isinstance(group, Unknown) or group.reason is not Reason.MEMBERS_UNSEEN or not replicas.spec:
        return None
    changes = [each.at for each in memory.scales[-1:]] + [each.at for each in memory.others[-1:]]
    joined_at = max(changes, default=-inf) + join_seconds_of(memory, replicas)
    return Unseen(replicas.spec * threads_of(policy, memory), joined_at)


def _unbroken_seconds(policy: Policy, history: History, now: float) -> float:
    """For how long samples came, complete, without a gap of three polls; a history that is short has had one."""
    if history.unbroken_since is None:
        return 0.0
    since, gap = history.unbroken_since, max(GAP_SECONDS, GAP_POLLS * policy.polling_interval_seconds)
    for earlier, later in pairwise(history.samples):
        if later.at - earlier.at > gap:
            since = max(since, later.at)
    first = history.samples[0].at
    return now - (since if now - first >= SPAN_SECONDS - gap else max(since, first))


def _remembered(policy: Policy, memory: Memory, rates: Rates, assignor: str, at: float) -> Memory:
    if not isinstance(rates.capacity, Unknown):
        memory = replace(memory, capacity=rates.capacity)
    if not isinstance(rates.arrival, Unknown):
        memory = memory.with_arrival(rates.arrival.average, policy, at)
    return replace(memory, assignor=assignor)


def _with_commits(memory: Memory, measured: float | Unknown, at: float) -> Memory:
    """The commit interval as measured; after rebalances, which leave nothing to measure, as it was before.

    For an hour, or four intervals where that is longer.
    """
    if not isinstance(measured, Unknown):
        return replace(memory, commits=Commits(measured, at))
    known = memory.commits
    if known is not None and at - known.at > max(COMMITS_KEPT_SECONDS, COMMITS_KEPT_INTERVALS * known.seconds):
        return replace(memory, commits=None)
    return memory


def _with_uneven(memory: Memory, replicas: Replicas, at: float) -> Memory:
    """Since when more or fewer replicas exist than are asked for: a rollout, or a pod that stays."""
    since = memory.uneven_since if memory.uneven_since is not None else at
    return replace(memory, uneven_since=None if replicas.existing == replicas.spec else since)


def _with_members(memory: Memory, group: Group | Unknown, at: float) -> Memory:
    """Since when nobody is in the group, which outlives restarts: offsets expire after days."""
    if isinstance(group, Unknown):
        return replace(memory, memberless_since=None) if group.reason is Reason.MEMBERS_UNSEEN else memory
    since = memory.memberless_since or at
    return replace(memory, memberless_since=None if group.members else since)


def _with_usual(memory: Memory, standing: Backlog, rates: Rates, replicas: Replicas, at: float) -> Memory:
    """What is usual is what a group gets and does that is caught up, has replicas, and whose producers are free."""
    idle = not replicas.spec or memory.throttling is not None
    if standing is not Backlog.CAUGHT_UP or idle or isinstance(rates.arrival, Unknown) or not rates.arrival.average:
        return memory
    capacity = None if isinstance(rates.capacity, Unknown) else rates.capacity.per_consumer
    usual = memory.usual or Usual(at, 0.0, rates.arrival.average)
    return replace(memory, usual=usual.with_look(at, rates.arrival.average, capacity))


def _assignor(group: Group | Unknown, memory: Memory) -> str:
    return group.assignor if isinstance(group, Group) and group.assignor else memory.assignor
