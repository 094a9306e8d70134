"""decide(): the only door in. The operator, the simulator, replay and explain all call it, so none can disagree."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

from kafka_consumer_scaler.core.assignment import spread
from kafka_consumer_scaler.core.capacity import Rates, Unseen, busy_drain, measure
from kafka_consumer_scaler.core.diagnosis import (
    NEVER_COMMITS_SECONDS,
    Backlog,
    Finding,
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
from kafka_consumer_scaler.core.effect import TRIAL_SECONDS, kept_capacity, learned
from kafka_consumer_scaler.core.findings import findings_of, lasting
from kafka_consumer_scaler.core.history import FAILURES_TOLERATED, SPAN_SECONDS, History
from kafka_consumer_scaler.core.limits import Limit, bound
from kafka_consumer_scaler.core.membership import (
    hung_transactions,
    memberless_seconds,
    rebalancing_seconds,
    uncounted_partitions,
    unread_partitions,
    unrest,
    works_unseen,
)
from kafka_consumer_scaler.core.memory import Found, Memory, Unread, Usual
from kafka_consumer_scaler.core.ownership import foreign_members, threads_of, with_threads
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.rates import (
    NEWEST_SECONDS,
    ages,
    arrival_shares,
    lags,
    likely_commit_interval,
    oldest,
    unprocessed,
)
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import Recommendation, recommend
from kafka_consumer_scaler.core.safe_rate import SafeRate, safe_rate
from kafka_consumer_scaler.core.situation import JOIN_SECONDS, Situation
from kafka_consumer_scaler.core.snapshot import Group, Replicas, Sample, TopicPartition, Unknown
from kafka_consumer_scaler.core.stabilization import Stabilized, stabilize
from kafka_consumer_scaler.core.throttle import Course, counted, steer, unseen
from kafka_consumer_scaler.core.verdict import (
    BOUNDS,
    Abstain,
    Decision,
    Event,
    Hold,
    Measurements,
    ScaleTo,
    Verdict,
    complaints,
    conditions_of,
)

GAP_POLLS = 3
UNREAD_KEPT_SECONDS = 21_600.0
"""A group without replicas is woken once in so long to see whether its topics are read again."""
GAP_SECONDS = 30.0
"""Samples further apart than three polls, and this, do not tell what was in between."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A decision on the way to its verdict."""

    decision: Decision
    memory: Memory
    message: str
    recommendation: Recommendation | None = None
    trail: tuple[Limit, ...] = ()
    busy_drain: float | None = None
    allowed: int = 0


def decide(policy: Policy, history: History, current: Replicas | Unknown, memory: Memory, now: float) -> Verdict:
    """What to do about one group at `now`, and everything to be said about it.

    Args:
        policy: what the user wants.
        history: the samples so far; the latest one is judged.
        current: the target's replicas, or why they are not known or not to be touched.
        memory: the verdict's memory of the last call, or that of the resource's status after a restart.
        now: seconds since the epoch; not older than the latest sample.

    The same arguments always give the same verdict.
    """
    policy = _as_polled(policy, history)
    if isinstance(current, Replicas):
        memory = memory.with_replicas(current.spec, current.changed_by, now)
    situation = _situation(policy, history, current, memory, now)
    judged = _judge(policy, history, current, memory, situation)
    safe = situation if isinstance(situation, Unknown) else safe_rate(policy, situation)
    course = _course(policy, memory, situation, judged, safe, now)
    is_blip = 0 < history.failures <= FAILURES_TOLERATED
    return _verdict(policy, current, situation, judged, memory, is_blip, safe, course, now)


def _course(policy: Policy, memory: Memory, situation: Situation | Unknown, judged: _Judged,
            safe: SafeRate | Unknown, now: float) -> Course:
    """What becomes of the producers: they are judged with the replicas, or not at all."""
    if isinstance(situation, Unknown) or judged.recommendation is None:
        return unseen(policy, memory, now)
    return steer(policy, situation, safe, judged.allowed)


def _as_polled(policy: Policy, history: History) -> Policy:
    """The policy at the interval that is kept: brokers that answer slowly are asked less often."""
    stretch = history.samples[-1].details.stretch if history.samples else 1
    return replace(policy, polling_interval_seconds=stretch * policy.polling_interval_seconds)


def _situation(policy: Policy, history: History, current: Replicas | Unknown, memory: Memory,
               now: float) -> Situation | Unknown:
    if isinstance(history.latest, Unknown):
        return history.latest
    replicas = current if isinstance(current, Replicas) else Replicas(0, 0)
    unread = unread_partitions(history)
    uncounted = uncounted_partitions(unread, history, _missing_since(memory, replicas))
    if not replicas.spec:
        uncounted = _unread_before(memory, history, now)
    elif unread or any(_has_readers(sample) for sample in history.samples[-1:]):
        memory = _with_unread(memory, uncounted, sample_at=history.samples[-1].at)
    if uncounted:
        history = history.without(uncounted)
    lag = lags(history, policy)
    if isinstance(lag, Unknown):
        return lag
    sample = history.samples[-1]
    group = _group_seen(history)
    unseen = _unseen_consumers(policy, memory, group, replicas)
    beyond = commits_beyond_end(history)
    if beyond:
        return Unknown(_beyond_words(beyond), Reason.COMMIT_BEYOND_END)
    uncommitted = uncommitted_seconds(history) if sum(lag.values()) else None
    if uncommitted is not None and uncommitted >= NEVER_COMMITS_SECONDS:
        return Unknown("the group has members and commits no offsets", Reason.NO_COMMITTED_OFFSETS)
    interval = likely_commit_interval(history, policy)
    waiting = unprocessed(history, policy, lag, interval)
    since = memory.last_scale.at + (memory.join_seconds or JOIN_SECONDS) if memory.last_scale and unseen else 0.0
    seen = measure(history, policy, memory.capacity, interval, Unseen(unseen, since) if unseen else None,
                   (memory.join_seconds or JOIN_SECONDS) + policy.polling_interval_seconds)
    if not isinstance(seen.capacity, Unknown):
        seen = replace(seen, capacity=kept_capacity(memory, seen.capacity))
    shares, waited = arrival_shares(history), ages(history, waiting)
    asked = counted(seen.arrival, memory.throttling)
    rates = seen if asked is seen.arrival else replace(seen, arrival=asked)
    memory = _remembered(policy, memory, rates, _assignor(sample.group, memory), sample.at)
    stuck = stuck_partitions(history, policy, waiting)
    is_few = 2 * len(stuck) <= len(waited)
    helped = {tp: age for tp, age in waited.items() if not (is_few and tp in stuck)}
    standing = backlog(history, policy, oldest(helped), seen)
    memory = _with_usual(_with_members(memory, group, sample.at), standing, rates, current, sample.at)
    memory = _with_uneven(memory, current, sample.at)
    memory = with_threads(memory, history, policy, replicas, sample.at)
    threads = threads_of(policy, memory)
    foreign = foreign_members(history, lag, threads, replicas, memory.scales)
    unbroken = _unbroken_seconds(policy, history, now)
    found = Situation(
        now=now,
        replicas=replicas,
        group=group,
        lag=lag,
        waiting=waiting,
        stuck=stuck,
        hot=hot_partitions(history, rates),
        age=oldest(ages(history, lag)),
        ages=waited,
        shares=shares,
        shares_newest=arrival_shares(history, NEWEST_SECONDS),
        rates=rates,
        commit_interval=interval,
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
        kept=kept_partitions(history, policy, stuck),
        lost=lost_records(history),
        recreated=recreated_topics(history),
        retention=None if standing is Backlog.CAUGHT_UP and not stuck else retention_risk(history, policy),
        unread={tp: unread[tp] for tp in sorted(uncounted) if tp in unread},
        rebalancing_seconds=rebalancing_seconds(history),
        observed=seen.arrival,
    )
    return found if isinstance(current, Unknown) else replace(found, memory=learned(policy, history, found))


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


def _with_unread(memory: Memory, uncounted: Collection[TopicPartition], sample_at: float) -> Memory:
    topics = tuple(sorted({tp.topic for tp in uncounted}))
    return replace(memory, unread=Unread(topics, sample_at) if topics else None)


def _unread_before(memory: Memory, history: History, now: float) -> frozenset[TopicPartition]:
    """Without replicas nobody reads anything: what nobody read before still counts for nothing, for some hours."""
    if memory.unread is None or now - memory.unread.at > UNREAD_KEPT_SECONDS:
        return frozenset()
    found = frozenset(tp for tp in history.samples[-1].readings if tp.topic in memory.unread.topics)
    return found if len(found) < len(history.samples[-1].readings) else frozenset()


def _has_readers(sample: Sample) -> bool:
    return isinstance(sample.group, Group) and any(member.partitions for member in sample.group.members)


def _missing_since(memory: Memory, replicas: Replicas) -> float | None:
    """Since when replicas are missing in the group; None when none are, 0 when nobody knows since when."""
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


def _group_seen(history: History) -> Group | Unknown:
    """The group as it is described; a group without members whose offsets go on has members that cannot be seen."""
    group = history.samples[-1].group
    if isinstance(group, Group) and not group.members and works_unseen(history):
        why = f"the group is {group.state} and commits go on: its consumers assign partitions themselves"
        return Unknown(why, Reason.MEMBERS_UNSEEN)
    return group


def _unseen_consumers(policy: Policy, memory: Memory, group: Group | Unknown, replicas: Replicas) -> int:
    """Consumers that work and cannot be seen: as many as the replicas bring; 0 where members can be seen."""
    if not isinstance(group, Unknown) or group.reason is not Reason.MEMBERS_UNSEEN:
        return 0
    return replicas.spec * threads_of(policy, memory)


def _with_uneven(memory: Memory, current: Replicas | Unknown, at: float) -> Memory:
    """Since when more or fewer replicas exist than are asked for: a rollout, or a pod that stays."""
    if isinstance(current, Unknown):
        return memory
    since = memory.uneven_since if memory.uneven_since is not None else at
    return replace(memory, uneven_since=None if current.existing == current.spec else since)


def _with_members(memory: Memory, group: Group | Unknown, at: float) -> Memory:
    """Since when nobody is in the group, which outlives restarts: offsets expire after days."""
    if isinstance(group, Unknown):
        return replace(memory, memberless_since=None) if group.reason is Reason.MEMBERS_UNSEEN else memory
    since = memory.memberless_since or at
    return replace(memory, memberless_since=None if group.members else since)


def _with_usual(memory: Memory, standing: Backlog, rates: Rates, current: Replicas | Unknown, at: float) -> Memory:
    """What is usual is what a group gets and does that is caught up, has replicas, and whose producers are free."""
    idle = isinstance(current, Unknown) or not current.spec or memory.throttling is not None
    if standing is not Backlog.CAUGHT_UP or idle or isinstance(rates.arrival, Unknown) or not rates.arrival.average:
        return memory
    capacity = None if isinstance(rates.capacity, Unknown) else rates.capacity.per_consumer
    usual = memory.usual or Usual(at, 0.0, rates.arrival.average)
    return replace(memory, usual=usual.with_look(at, rates.arrival.average, capacity))


def _assignor(group: Group | Unknown, memory: Memory) -> str:
    return group.assignor if isinstance(group, Group) and group.assignor else memory.assignor


def _judge(policy: Policy, history: History, current: Replicas | Unknown, memory: Memory,
           situation: Situation | Unknown) -> _Judged:
    """Doubt first: the target, then the metrics, then what the user or a person said, then the rules."""
    if isinstance(current, Unknown):
        return _Judged(Abstain(current.reason, current.why), memory, f"Nothing is changed: {current.why}")
    if isinstance(situation, Unknown):
        return _blind(policy, history, current, memory, situation)
    memory = situation.memory
    if _is_parked(policy, current, memory):
        why = "someone scaled the target to 0 while minReplicas is not 0; scale it to 1 to go on"
        return _Judged(Hold(0, Reason.SCALED_TO_ZERO_BY_OTHERS), memory, f"Held at 0: {why}")
    return _settled(policy, history, memory, situation)


def _is_parked(policy: Policy, current: Replicas, memory: Memory) -> bool:
    """As with the HPA, 0 replicas set by someone else switch scaling off, unless 0 is within the bounds."""
    ours = memory.last_scale is not None and memory.last_scale.after == 0
    return current.spec == 0 and policy.min_replicas > 0 and not ours


def _blind(policy: Policy, history: History, current: Replicas, memory: Memory, why: Unknown) -> _Judged:
    """Without a usable sample nothing changes, until the user's own fallback says otherwise."""
    fallback = policy.fallback
    message = f"Held at {current.spec}: {why.why}"
    if fallback is None or history.failures < fallback.failure_threshold:
        return _Judged(Abstain(why.reason, why.why), memory, message)
    wanted = fallback.wanted(current.spec, policy.min_replicas, policy.max_replicas)
    said = f"{history.failures} polls in a row failed ({why.why}): fallback to {wanted}"
    return _acted(policy, _Judged(_move_or_stay(wanted, current, Reason.FALLBACK), memory, said))


def _move_or_stay(wanted: int, current: Replicas, reason: Reason) -> Decision:
    return Hold(wanted, reason) if wanted == current.spec else ScaleTo(wanted, reason)


def _settled(policy: Policy, history: History, memory: Memory, situation: Situation) -> _Judged:
    recommendation = recommend(policy, situation)
    limited = bound(recommendation, policy, situation.spread)
    memory = memory.with_recommended(limited.replicas, policy, situation.now)
    stable = stabilize(limited.replicas, policy, memory, situation)
    trail = (*limited.trail, *stable.trail)
    decision = _move_or_stay(stable.replicas, situation.replicas, stable.reason)
    message = _sentence(policy, situation, recommendation, trail, stable)
    drain = busy_drain(history, policy, TRIAL_SECONDS) if isinstance(decision, ScaleTo) else None
    return _acted(policy, _Judged(decision, memory, message, recommendation, trail, drain, limited.replicas))


def _acted(policy: Policy, judged: _Judged) -> _Judged:
    """What becomes of a ScaleTo when the user only wants to hear of it."""
    if not isinstance(judged.decision, ScaleTo):
        return judged
    if policy.paused:
        return replace(judged, decision=Hold(judged.decision.replicas, Reason.PAUSED))
    if policy.mode is Mode.ADVISORY:
        return replace(judged, decision=Hold(judged.decision.replicas, Reason.ADVISORY))
    return judged


def _sentence(policy: Policy, situation: Situation, recommendation: Recommendation, trail: tuple[Limit, ...],
              stable: Stabilized) -> str:
    """`Scaled up from 2 to 6: lag 14,742 records (29 s old) on 12 partitions; 15 wanted (...) -> 6 (...)`."""
    head = _head(policy, situation.current, stable.replicas)
    steps = [f"{recommendation.replicas} wanted ({recommendation.because})"]
    steps += [f"{limit.replicas} ({limit.why})" for limit in trail]
    tail = f"; {stable.why}" if stable.why and stable.reason is not Reason.WITHIN_OBJECTIVE else ""
    return f"{head}: {_standing(situation)}; {' -> '.join(steps)}{tail}"


def _standing(situation: Situation) -> str:
    age = situation.age
    old = "age unknown" if isinstance(age, Unknown) else f"{age:.0f} s old"
    return f"lag {situation.lag_records:,} records ({old}) on {len(situation.lag)} partitions"


def _head(policy: Policy, current: int, replicas: int) -> str:
    if replicas == current:
        return f"Held at {current}"
    verb = "Paused, would scale" if policy.paused else (
        "Advisory, would scale" if policy.mode is Mode.ADVISORY else "Scaled")
    return f"{verb} {'up' if replicas > current else 'down'} from {current} to {replicas}"


def _verdict(policy: Policy, current: Replicas | Unknown, situation: Situation | Unknown, judged: _Judged,
             before: Memory, is_blip: bool, safe: SafeRate | Unknown, course: Course, now: float) -> Verdict:
    metrics = situation if isinstance(situation, Unknown) else None
    target = current if isinstance(current, Unknown) else None
    found = _found(policy, situation, judged, before, course, now)
    findings = tuple(Finding(each.reason, each.evidence, each.remedy) for each in found)
    conditions = conditions_of(policy, metrics, target, findings, judged.recommendation is not None)
    standing = "" if isinstance(situation, Unknown) else _standing(situation)
    still_behind = not isinstance(situation, Unknown) and situation.backlog is not Backlog.CAUGHT_UP
    events, said = complaints(conditions, findings, standing, before.said, still_behind, is_blip)
    message = judged.message + _causes(current, judged.decision, findings) + _upstream(situation, course)
    announcement = None
    if isinstance(judged.decision, ScaleTo) and isinstance(current, Replicas):
        up = judged.decision.replicas > current.spec
        announcement = Event(Reason.SCALED_UP if up else Reason.SCALED_DOWN, message)
    return Verdict(
        decision=judged.decision,
        memory=replace(judged.memory, said=said, found=found, throttling=course.throttling),
        conditions=conditions,
        findings=findings,
        events=events if not course.is_released else (*events, _released(course)),
        announcement=announcement,
        backlog=Backlog.UNKNOWN if isinstance(situation, Unknown) else situation.backlog,
        measurements=_measurements(current, situation, judged),
        trail=judged.trail,
        message=message,
        situation=situation,
        busy_drain=judged.busy_drain,
        safe_rate=safe,
        throttle=course.throttle,
    )


def _released(course: Course) -> Event:
    return Event(Reason.THROTTLE_RELEASED, f"Producers are no longer held back: {course.why}", action="Throttling")


def _upstream(situation: Situation | Unknown, course: Course) -> str:
    """`; producers are held to 120,000 bytes/s: ...; counted with the 2,400 records/s that were asked for before`."""
    if not course.why:
        return ""
    said = f"; producers are no longer held back: {course.why}" if course.is_released else f"; {course.why}"
    if isinstance(situation, Unknown) or situation.observed == situation.rates.arrival:
        return said
    arrival = situation.rates.arrival
    asked = "" if isinstance(arrival, Unknown) else f"; counted with {arrival.average:,.0f} records/s asked for before"
    return said + asked


def _found(policy: Policy, situation: Situation | Unknown, judged: _Judged, before: Memory,
           course: Course, now: float) -> tuple[Found, ...]:
    """The findings that last; while nothing can be seen, they stay."""
    if isinstance(situation, Unknown):
        return _found_unknown(situation, before, now)
    return lasting(findings_of(policy, situation, judged.trail, course.throttle), policy, before, situation.now)


def _found_unknown(why: Unknown, before: Memory, now: float) -> tuple[Found, ...]:
    """While too little is known, the findings stay; a commit beyond the end is one itself."""
    others = tuple(each for each in before.found if each.reason is not Reason.COMMIT_BEYOND_END)
    if why.reason is not Reason.COMMIT_BEYOND_END:
        return before.found
    remedy = "see that the group's offsets are those of this cluster, and reset them; until then its lag is unknown"
    return (Found(Reason.COMMIT_BEYOND_END, now, why.why, remedy), *others)


def _causes(current: Replicas | Unknown, decision: Decision, findings: tuple[Finding, ...]) -> str:
    """`; ProducerSpike`: why more are wanted, after a sentence that says so; bounds are in its trail."""
    if isinstance(current, Unknown) or isinstance(decision, Abstain) or decision.replicas <= current.spec:
        return ""
    names = ", ".join(each.reason for each in findings if each.reason not in BOUNDS)
    return f"; {names}" if names else ""


def _measurements(current: Replicas | Unknown, situation: Situation | Unknown, judged: _Judged) -> Measurements:
    replicas = current if isinstance(current, Unknown) else current.spec
    wanted = judged.recommendation.replicas if judged.recommendation else Unknown("nothing was recommended")
    allowed = Unknown(judged.decision.why) if isinstance(judged.decision, Abstain) else judged.decision.replicas
    if isinstance(situation, Unknown):
        return Measurements(situation, situation, situation, situation, situation, situation, situation,
                            replicas, wanted, allowed)
    capacity = situation.rates.capacity
    return Measurements(
        lag_records=situation.lag_records,
        lag_seconds=situation.age,
        arrival=arrived if isinstance(arrived := situation.arrived, Unknown) else arrived.average,
        drain=situation.rates.drain,
        capacity_per_consumer=capacity if isinstance(capacity, Unknown) else capacity.per_consumer,
        partitions=len(situation.lag),
        useful_replicas=situation.spread.useful_replicas,
        replicas_current=replicas,
        replicas_wanted=wanted,
        replicas_allowed=allowed,
    )
