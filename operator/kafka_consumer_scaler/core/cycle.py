"""decide(): the only door in. The operator, the simulator, replay and explain all call it, so none can disagree."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kafka_consumer_scaler.core.capacity import drain_of
from kafka_consumer_scaler.core.diagnosis import Backlog, Finding
from kafka_consumer_scaler.core.effect import TRIAL_SECONDS
from kafka_consumer_scaler.core.findings import findings_of, lasting
from kafka_consumer_scaler.core.history import FAILURES_TOLERATED, History
from kafka_consumer_scaler.core.limits import Limit, bound
from kafka_consumer_scaler.core.memory import Found, Memory
from kafka_consumer_scaler.core.observe import observe
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import Recommendation, recommend
from kafka_consumer_scaler.core.safe_rate import SafeRate, safe_rate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.stabilization import Stabilized, stabilize
from kafka_consumer_scaler.core.throttle import Course, steer, unseen
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
    memory = memory.with_counted(policy, now)
    situation = observe(policy, history, current, memory, now)
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
    is_change = isinstance(decision, ScaleTo)
    drain = drain_of(history, situation.rates.stretches, TRIAL_SECONDS) if is_change else None
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
    held = "".join(f", {topic} holds its records back for {seconds:,.0f} s"
                   for topic, seconds in situation.held.items())
    return f"lag {situation.lag_records:,} records ({old}) on {len(situation.lag)} partitions{held}"


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
