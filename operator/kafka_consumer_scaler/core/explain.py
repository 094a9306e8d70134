"""A verdict in prose, with its numbers: why it was decided so, what bound it, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nsmallest
from math import inf

from kafka_consumer_scaler.core.advice import Advice, advise
from kafka_consumer_scaler.core.limits import Limit
from kafka_consumer_scaler.core.objective import age_ahead, lead_seconds
from kafka_consumer_scaler.core.otherwise import otherwise
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.prediction import Loads
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import recommend
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import TopicPartition, Unknown
from kafka_consumer_scaler.core.spoken import BECAUSE, count, number, verb
from kafka_consumer_scaler.core.sustained import at_least, planned, sustained
from kafka_consumer_scaler.core.throttle import Quota, Throttle
from kafka_consumer_scaler.core.verdict import BOUNDS, Abstain, ConditionType, ScaleTo, Verdict

PARTITIONS_SHOWN = 5
STEADY_SHARE = 0.05
"""Arrival and drain that differ by no more than this share of the larger are called alike."""


@dataclass(frozen=True, slots=True)
class PartitionStanding:
    """Where one partition stands: lag in records, age of its oldest waiting record in seconds, arrival in records/s.

    `note` is `stuck`, `hot` or empty.
    """

    partition: TopicPartition
    lag: int
    seconds: float | Unknown
    arrival: float | Unknown
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict in prose.

    Args:
        why: what is so, and why it was decided.
        limits: every limit that bound, and whose setting it is.
        upstream: the other side of the loop: what may be asked of producers, and what is.
        otherwise: what would have to change for another decision.
        partitions: those with most lag, at most five.
        advice: what could be changed outside of this program.
    """

    why: tuple[str, ...]
    limits: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    partitions: tuple[PartitionStanding, ...] = ()
    advice: tuple[Advice, ...] = ()


def explain(policy: Policy, verdict: Verdict) -> Explanation:
    """The verdict in prose; the same verdict always in the same words."""
    situation = verdict.situation
    if isinstance(situation, Unknown):
        why = (f"The lag is not known: {situation.why}.", _decided(verdict, ""))
        return Explanation(why, otherwise=otherwise(policy, verdict))
    return Explanation(
        why=(*_standing(policy, situation), *_keeping_up(policy, verdict, situation), *_found(verdict),
             _decided(verdict, _because(policy, verdict, situation))),
        limits=_limits(policy, verdict, situation),
        upstream=_upstream(policy, verdict, situation),
        otherwise=otherwise(policy, verdict),
        partitions=partitions_behind(situation),
        advice=advise(policy, situation),
    )


def partitions_behind(situation: Situation) -> tuple[PartitionStanding, ...]:
    """The partitions with most lag, and those that more consumers cannot help."""
    told = [tp for tp, lag in situation.lag.items() if lag > 0 or not situation.can_help(tp)]
    first = nsmallest(PARTITIONS_SHOWN, told, key=lambda tp: (-situation.lag[tp], tp))
    return tuple(_partition(situation, tp) for tp in first)


def _partition(situation: Situation, tp: TopicPartition) -> PartitionStanding:
    arrival = situation.rates.arrival
    gets = arrival if isinstance(arrival, Unknown) else situation.shares.get(tp, 0.0) * arrival.average
    note = "stuck" if tp in situation.stuck else "hot" if tp in situation.hot else ""
    return PartitionStanding(tp, situation.lag[tp], situation.ages[tp], gets, note)


def _standing(policy: Policy, situation: Situation) -> tuple[str, ...]:
    return (_lag(policy, situation), _rates(situation), _capacity(situation))


def _lag(policy: Policy, situation: Situation) -> str:
    where = count(len(situation.lag), "partition")
    goal = f"the objective is {policy.lag_seconds:,.0f} s"
    if policy.lag_per_replica is not None:
        goal = f"lagPerReplica is {policy.lag_per_replica:,}"
    if situation.lag_records == 0:
        return f"No record waits on {where}; {goal}."
    age = situation.age
    old = f"of an age that is not known ({age.why})" if isinstance(age, Unknown) else f"{age:,.0f} s old"
    lag = situation.lag_records
    said = f"{count(lag, 'record')} {verb(lag, 'lag')} on {where}, the oldest {old}; {goal}"
    waiting = round(sum(situation.waiting.values()))
    still = f"; about {waiting:,} of them still wait, as consumers go on between their commits"
    return f"{said}{'' if waiting == lag else still}."


def _rates(situation: Situation) -> str:
    arrival, drain = situation.arrived, situation.rates.drain
    if isinstance(arrival, Unknown):
        return f"What arrives is not known: {arrival.why}."
    late = ""
    if arrival.newest > (1 + STEADY_SHARE) * arrival.average:
        late = f" ({number(arrival.newest)} of late)"
    arrives = f"{number(arrival.average)} records/s arrive{late}"
    if isinstance(drain, Unknown):
        return f"{arrives}; what is processed is not known yet: {drain.why}."
    gap = arrival.average - drain
    trend = f"the lag {'grows' if gap > 0 else 'shrinks'} by {number(abs(gap))} a second"
    if abs(gap) <= STEADY_SHARE * max(arrival.average, drain):
        trend = "the lag is steady"
    return f"{arrives} and {number(drain)} are processed: {trend}."


def _capacity(situation: Situation) -> str:
    capacity = situation.rates.capacity
    if isinstance(capacity, Unknown):
        return f"What one consumer can do is not known: {capacity.why}."
    does = number(capacity.per_consumer)
    if capacity.learned:
        return f"One consumer does {does} records/s, learned while consumers were busy."
    if capacity.busy:
        return f"One consumer does about {does} records/s, seen busy but not for a whole window yet."
    return f"One consumer does at least {does} records/s: a lower bound, as none was seen busy."


def _keeping_up(policy: Policy, verdict: Verdict, situation: Situation) -> tuple[str, ...]:
    current, per_consumer = verdict.measurements.replicas_current, planned(policy, situation)
    if isinstance(current, Unknown) or isinstance(per_consumer, Unknown) or current == 0:
        return ()
    keeps = sustained(situation, per_consumer, current)
    if keeps == inf:
        return ()
    share = "" if policy.utilization == 1 else f", planned with {policy.utilization:.0%} of what they can do"
    helpless = len(situation.hot | situation.stuck)
    without = f", without {count(helpless, 'partition')} that more consumers cannot help" if helpless else ""
    rate = f"{at_least(situation)}{number(keeps)} records/s"
    return (f"{count(current, 'replica')} {verb(current, 'keep')} up with {rate}{share}{without}.",
            *_ahead(policy, situation, per_consumer))


def _ahead(policy: Policy, situation: Situation, per_consumer: float) -> tuple[str, ...]:
    """How old the oldest record will be when help could come; the classic rule does not look ahead."""
    loads = _loads_ahead(policy, situation)
    if policy.lag_per_replica is not None or isinstance(loads, Unknown):
        return ()
    later = age_ahead(policy, situation, situation.plant(per_consumer), loads)
    others = " of the other partitions" if situation.hot | situation.stuck else ""
    return (f"In {lead_seconds(policy, situation):,.0f} s, when more could help, the oldest record{others} will be "
            f"{later:,.0f} s old.",)


def _loads_ahead(policy: Policy, situation: Situation) -> Loads | Unknown:
    arrival = situation.rates.arrival
    if isinstance(arrival, Unknown):
        return arrival
    return situation.loads(arrival.ahead(lead_seconds(policy, situation)))


def _found(verdict: Verdict) -> tuple[str, ...]:
    """What was found; the bounds among it are told with the limits."""
    told = (each for each in verdict.findings if each.reason not in BOUNDS)
    return tuple(f"{each.reason}: {each.evidence}; {each.remedy}." for each in told)


def _because(policy: Policy, verdict: Verdict, situation: Situation) -> str:
    """What was wanted before any limit, as `decide` told it."""
    wanted = verdict.measurements.replicas_wanted
    if isinstance(wanted, Unknown):
        return ""
    return f" {count(wanted, 'replica')} {verb(wanted, 'are')} wanted: {recommend(policy, situation).because}."


def _decided(verdict: Verdict, wanted: str) -> str:
    decision, current = verdict.decision, verdict.measurements.replicas_current
    why = BECAUSE.get(decision.reason, str(decision.reason))
    if isinstance(decision, Abstain):
        return f"Nothing is changed, as {why}: {decision.why}.{wanted}"
    moved = not isinstance(current, Unknown) and decision.replicas != current
    if isinstance(decision, ScaleTo) and verdict.condition(ConditionType.ABLE_TO_SCALE).status is False:
        return f"Not scaled{_way(current, decision.replicas)}: {verdict.message}.{wanted}"
    if isinstance(decision, ScaleTo):
        return f"Scaled{_way(current, decision.replicas)}: {why}.{wanted}"
    if moved:
        return f"Nothing is changed, as {why}; else scaled{_way(current, decision.replicas)}.{wanted}"
    if decision.reason is Reason.WITHIN_OBJECTIVE and decision.replicas != verdict.measurements.replicas_wanted:
        why = "as many as are allowed"
    return f"Held at {decision.replicas}: {why}.{wanted}"


def _way(current: int | Unknown, replicas: int) -> str:
    if isinstance(current, Unknown):
        return f" to {replicas}"
    return f" {'up' if replicas > current else 'down'} from {current} to {replicas}"


def _limits(policy: Policy, verdict: Verdict, situation: Situation) -> tuple[str, ...]:
    found, before = [], verdict.measurements.replicas_wanted
    for limit in verdict.trail:
        up = (limit.replicas if isinstance(before, Unknown) else before) > situation.current
        found.append(f"{_from_to(before, limit.replicas)}: {_limit(policy, situation, limit, up)}.")
        before = limit.replicas
    return tuple(found)


def _upstream(policy: Policy, verdict: Verdict, situation: Situation) -> tuple[str, ...]:
    """What producers may send, what they are held to, and what they asked for before; only where that is of use."""
    safe, throttle, arrival = verdict.safe_rate, verdict.throttle, situation.arrived
    if isinstance(safe, Unknown) or isinstance(arrival, Unknown):
        return ()
    if not policy.quotas and arrival.average <= safe.records:
        return ()
    bound = "" if safe.is_learned else ", at least"
    told = [f"{number(safe.records)} records/s are safe{bound}: {safe.because}."]
    if throttle is not None:
        told.append(_held(policy, throttle))
    elif policy.quotas:
        told.append("Producers send as they like.")
    counted = situation.rates.arrival
    if counted != arrival and not isinstance(counted, Unknown):
        told.append(f"{number(counted.average)} records/s were asked for before; replicas are counted with that.")
    return tuple(told)


def _held(policy: Policy, throttle: Throttle) -> str:
    """`Producers are held to 120,000 bytes/s: 40,000 on each broker for client id shop.`"""
    verb = "are" if policy.mode is Mode.ACTIVE and not policy.paused else "would be"
    each = ", ".join(f"{quota.bytes_per_broker:,.0f} on each broker for {_name(quota)}" for quota in throttle.quotas)
    floor = ", the floor" if throttle.is_at_floor else ""
    return f"Producers {verb} held to {throttle.bytes_per_second:,.0f} bytes/s{floor}: {each}."


def _name(quota: Quota) -> str:
    return f"client id {quota.client_id}" if quota.user is None else f"user {quota.user}"


def _from_to(before: int | Unknown, after: int) -> str:
    return f"{after} allowed" if isinstance(before, Unknown) else f"{before} wanted, {after} allowed"


def _limit(policy: Policy, situation: Situation, limit: Limit, up: bool) -> str:
    """What bound, and whose setting to change."""
    way = "scaleUp" if up else "scaleDown"
    if limit.reason is Reason.AT_PARTITION_LIMIT:
        useful = situation.spread.useful_replicas
        return (f"the partitions give work to no more than {count(useful, 'replica')}; the topic's owner may add "
                "partitions")
    if limit.reason is Reason.AT_MAX_REPLICAS and limit.replicas == policy.max_replicas:
        return f"spec.maxReplicas is {policy.max_replicas}; raise it to allow more"
    if limit.reason is Reason.AT_MAX_REPLICAS:
        return f"{limit.why}, as partitions divide; a spec.maxReplicas that divides them evenly would be used whole"
    if limit.reason is Reason.AT_MIN_REPLICAS:
        return f"spec.minReplicas is {policy.min_replicas}; lower it to allow fewer"
    if limit.reason is Reason.STABILIZING:
        return f"{limit.why}; shorten spec.behavior.{way}.stabilizationWindowSeconds to follow sooner"
    return f"{limit.why} of spec.behavior.{way} allow no larger step; change its policies or selectPolicy"
