"""Everything the operator must do and say after one look at a group: the decision and all of its words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from kafka_consumer_scaler.core.diagnosis import Backlog, Finding
from kafka_consumer_scaler.core.effect import after_scaling
from kafka_consumer_scaler.core.limits import Limit
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.safe_rate import SafeRate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.throttle import Throttle


@dataclass(frozen=True, slots=True)
class ScaleTo:
    """Write `replicas` to the target's scale subresource."""

    replicas: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Hold:
    """All is known, and nothing is to be changed.

    `replicas` is the number that would be right: another than the present one only when paused or advisory.
    """

    replicas: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Abstain:
    """Too little is known to judge; nothing is changed."""

    reason: Reason
    why: str


Decision = ScaleTo | Hold | Abstain
NOT_JUDGED = Unknown("nothing was judged yet")


class ConditionType(StrEnum):
    """The conditions every KafkaConsumerScaler carries."""

    READY = "Ready"
    METRICS_AVAILABLE = "MetricsAvailable"
    ABLE_TO_SCALE = "AbleToScale"
    SCALING_LIMITED = "ScalingLimited"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as Kubernetes knows them; the transition time is kept by the status writer.

    A finding is a condition of its own name, which is there while it lasts.
    `status` is None for Kubernetes' "Unknown".
    """

    type: ConditionType | Reason
    status: bool | None
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Event:
    """One sentence for `kubectl events`; `warning` tells Warning from Normal, `action` is the API's verb."""

    reason: Reason
    message: str
    warning: bool = False
    action: str = "Scaling"


@dataclass(frozen=True, slots=True)
class Measurements:
    """The numbers behind the verdict, for status and metrics. Records, seconds, records/s."""

    lag_records: int | Unknown
    lag_seconds: float | Unknown
    arrival: float | Unknown
    drain: float | Unknown
    capacity_per_consumer: float | Unknown
    partitions: int | Unknown
    useful_replicas: int | Unknown
    replicas_current: int | Unknown
    replicas_wanted: int | Unknown
    replicas_allowed: int | Unknown


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of `decide`.

    Args:
        decision: what to do.
        memory: to be kept from now on; a ScaleTo that was carried out is added by `memory_after_scaling`.
        conditions: the state of every condition.
        events: sentences to post whatever becomes of the decision.
        announcement: the sentence to post once a ScaleTo was carried out; None for other decisions.
        backlog: the state of the backlog in one word.
        findings: causes and risks that were found.
        measurements: the numbers.
        trail: how the wanted number became the allowed one.
        message: the decision in one sentence, with its numbers and its trail.
        situation: all that was known, or why it was not enough.
        busy_drain: records/s that all consumers processed, if all were busy; what a ScaleTo is measured by.
        safe_rate: what may arrive for the group to sustain it at its useful maximum.
        throttle: what producers are to be held to from now on, or would be if the resource did more than advise.
    """

    decision: Decision
    memory: Memory
    conditions: tuple[Condition, ...]
    events: tuple[Event, ...]
    announcement: Event | None
    backlog: Backlog
    measurements: Measurements
    trail: tuple[Limit, ...]
    message: str
    findings: tuple[Finding, ...] = ()
    situation: Situation | Unknown = NOT_JUDGED
    busy_drain: float | None = None
    safe_rate: SafeRate | Unknown = NOT_JUDGED
    throttle: Throttle | None = None

    def condition(self, wanted: ConditionType) -> Condition:
        """The condition of that type; every verdict carries all of them."""
        return next(condition for condition in self.conditions if condition.type is wanted)

    def memory_after_scaling(self, before: int, at: float) -> Memory:
        """The memory once the ScaleTo was carried out at `at`; what was not carried out is never credited."""
        after = self.decision.replicas if isinstance(self.decision, ScaleTo) else before
        said = self.memory.said - {Reason.SCALE_FAILED}
        arrival = Unknown("no situation") if isinstance(self.situation, Unknown) else self.situation.helped_arrival
        rate = None if isinstance(arrival, Unknown) else arrival
        return after_scaling(replace(self.memory, said=said), before, after, at, self.busy_drain, rate)

    def with_failed_scaling(self, problem: Unknown) -> Verdict:
        """The same verdict when the write was refused: not able to scale, not ready, and said once."""
        text = f"Scaling failed: {problem.why}"
        failed: dict[ConditionType | Reason, Condition] = {
            ConditionType.ABLE_TO_SCALE: Condition(ConditionType.ABLE_TO_SCALE, False, problem.reason, text),
            ConditionType.READY: Condition(ConditionType.READY, False, problem.reason, text),
        }
        said = Reason.SCALE_FAILED in self.memory.said
        return replace(
            self,
            conditions=tuple(failed.get(condition.type, condition) for condition in self.conditions),
            memory=replace(self.memory, said=self.memory.said | {Reason.SCALE_FAILED}),
            events=self.events if said else (*self.events, Event(Reason.SCALE_FAILED, text, warning=True)),
            announcement=None,
            message=text,
        )


def conditions_of(policy: Policy, metrics: Unknown | None, target: Unknown | None, findings: tuple[Finding, ...],
                  is_judged: bool) -> tuple[Condition, ...]:
    """All conditions: from what is unknown about the metrics and the target, and from what was found.

    `is_judged` tells that a number of replicas was recommended.
    """
    available = _condition(ConditionType.METRICS_AVAILABLE, metrics, "every partition's lag is known")
    able = _condition(ConditionType.ABLE_TO_SCALE, target, "the target's scale subresource is readable")
    problem = next((found for found in (target, metrics) if found is not None), None)
    ready = _condition(ConditionType.READY, problem, "lag is watched and the target follows it")
    if problem is None and policy.paused:
        ready = replace(ready, reason=Reason.PAUSED, message="paused: lag is watched, nothing is changed")
    elif problem is None and policy.mode is Mode.ADVISORY:
        ready = replace(ready, reason=Reason.ADVISORY, message="advisory: decisions are reported, nothing is changed")
    return ready, available, able, _limited(findings, is_judged), *map(condition_of, findings)


def _condition(kind: ConditionType, problem: Unknown | None, fine: str) -> Condition:
    if problem is None:
        return Condition(kind, True, Reason.AS_EXPECTED, fine)
    status = None if problem.reason is Reason.WAITING_FOR_FIRST_SAMPLE else False
    return Condition(kind, status, problem.reason, problem.why)


def _limited(findings: tuple[Finding, ...], is_judged: bool) -> Condition:
    """True when more replicas than a bound or the partitions allow are wanted, and would help."""
    bounds = [each for each in findings if each.reason in BOUNDS]
    if bounds:
        return replace(condition_of(bounds[-1]), type=ConditionType.SCALING_LIMITED)
    if not is_judged:
        return Condition(ConditionType.SCALING_LIMITED, None, Reason.METRICS_UNAVAILABLE, "nothing was recommended")
    fine = "as many as are allowed suffice, or more would not help"
    return Condition(ConditionType.SCALING_LIMITED, False, Reason.NOT_LIMITED, fine)


def condition_of(finding: Finding) -> Condition:
    """The condition that a finding is while it lasts."""
    return Condition(finding.reason, True, finding.reason, f"{finding.evidence}; {finding.remedy}")


def complaints(conditions: tuple[Condition, ...], findings: tuple[Finding, ...], standing: str,
               said: frozenset[Reason], still_behind: bool,
               is_blip: bool) -> tuple[tuple[Event, ...], frozenset[Reason]]:
    """Events for what changed since it was last said, and what is being said from now on.

    A blip, one poll or two in a row that failed, is shown by the condition and not said.
    A limit is withdrawn only once the group has caught up, so that a lag around the threshold does not say it again; a
    failed write only by one that succeeds.
    """
    by_type: dict[ConditionType | Reason, Condition] = {condition.type: condition for condition in conditions}
    metrics, able = by_type[ConditionType.METRICS_AVAILABLE], by_type[ConditionType.ABLE_TO_SCALE]
    limited = by_type[ConditionType.SCALING_LIMITED]
    now: set[Reason] = {Reason.SCALE_FAILED} & said
    events: list[Event] = []
    if metrics.status is False and (not is_blip or Reason.METRICS_UNAVAILABLE in said):
        now.add(Reason.METRICS_UNAVAILABLE)
        events.append(Event(Reason.METRICS_UNAVAILABLE, f"Nothing is changed: {metrics.message}", warning=True))
    elif metrics.status and Reason.METRICS_UNAVAILABLE in said:
        events.append(Event(Reason.METRICS_RECOVERED, f"Every partition's lag is known again: {standing}"))
    if able.status is False:
        now.add(able.reason)
        events.append(Event(able.reason, f"Nothing is changed: {able.message}", warning=True))
    elif said & TARGET_REASONS:
        events.append(Event(Reason.TARGET_FOUND, "The target can be scaled again"))
    if limited.status or (Reason.SCALING_LIMITED in said and (still_behind or limited.status is None)):
        now.add(Reason.SCALING_LIMITED)
        events.append(Event(Reason.SCALING_LIMITED, limited.message, warning=True))
    for finding in findings:
        if finding.reason not in BOUNDS:
            now.add(finding.reason)
            events.append(Event(finding.reason, f"{finding.evidence}; {finding.remedy}", warning=True))
    if still_behind or not metrics.status:
        now |= said & LASTING
    fresh = tuple(event for event in events if event.reason not in said)
    return fresh, frozenset(now)


TARGET_REASONS = frozenset({
    Reason.TARGET_NOT_FOUND, Reason.TARGET_NOT_SCALABLE, Reason.TARGET_FORBIDDEN, Reason.TARGET_CONFLICT,
    Reason.API_SERVER_UNREACHABLE,
})
"""Complaints about the target; each is said once, and all are withdrawn together."""

BOUNDS = frozenset({Reason.AT_MAX_REPLICAS, Reason.AT_PARTITION_LIMIT})
"""Findings that the event ScalingLimited tells of, whichever of them it is."""
LASTING = frozenset({
    Reason.HOT_PARTITION, Reason.STUCK_PARTITION, Reason.INEFFECTIVE_SCALING, Reason.RETENTION_RISK,
    Reason.UNREAD_PARTITIONS, Reason.COMMIT_BEYOND_END,
    Reason.REPLICAS_NOT_JOINING, Reason.PRODUCER_SPIKE, Reason.SLOW_CONSUMERS, Reason.NO_MEMBERS,
    Reason.REBALANCE_STORM, Reason.HUNG_TRANSACTION, Reason.OFFSETS_EXPIRING, Reason.RECORDS_LOST, Reason.BROKERS_SLOW,
    Reason.THROTTLING_PRODUCERS, Reason.AT_QUOTA_FLOOR, Reason.REPLICAS_CHANGED_BY_OTHERS,
})
"""Findings that are said once in a backlog, however often they come and go in it."""
