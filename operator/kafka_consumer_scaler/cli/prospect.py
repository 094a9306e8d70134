"""What a group would do with other replicas, in one sentence: the recommendation of `diagnose`."""

from __future__ import annotations

from typing import Any

from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.verdict import Abstain, Verdict
from kafka_consumer_scaler.core.waiting import oldest


def prospect_of(policy: Policy, verdict: Verdict) -> dict[str, Any]:
    """`{"replicas": 6, "now": 2, "consumerThreads": 1, "sentence": "With 6 ..."}`; unknown numbers are null."""
    now, decision = verdict.measurements.replicas_current, verdict.decision
    known = {"now": None if isinstance(now, Unknown) else now, "consumerThreads": policy.consumer_threads}
    if isinstance(verdict.situation, Unknown) or isinstance(decision, Abstain):
        why = decision.why if isinstance(decision, Abstain) else "too little is known"
        return {"replicas": None, **known, "sentence": one_line(f"Nothing can be recommended: {why}")}
    situation, replicas = verdict.situation, decision.replicas
    if situation.members == 0:
        said = "Nothing can be recommended before the group has a member."
    elif replicas > situation.current:
        said = f"With {_more(policy, verdict, situation, replicas)}"
    else:
        said = f"With {_as_it_is(policy, verdict, situation)}"
    return {"replicas": replicas, **known, "sentence": one_line(said)}


def _more(policy: Policy, verdict: Verdict, situation: Situation, replicas: int) -> str:
    head = f"{_counted(replicas)} of this consumer (now {situation.current}) the group would"
    if _is_bound(verdict):
        return f"{head} be as fast as its partitions allow, and that is not enough for {_objective(policy)}."
    if isinstance(situation.rates.capacity, Unknown):
        return f"{head} show what a consumer can do, which is not known yet."
    return f"{head} {'get back to' if _is_over(policy, situation) else 'keep'} {_objective(policy)}."


def _as_it_is(policy: Policy, verdict: Verdict, situation: Situation) -> str:
    head = f"the {_counted(situation.current)} that it has the group would"
    wanted, rates = verdict.measurements.replicas_wanted, situation.rates
    if situation.stuck or situation.hot:
        return f"{head} do as well as with more: what is behind cannot be helped by replicas."
    if _is_bound(verdict):
        return f"{head} do as well as with more: its partitions can use no more."
    if not situation.lag_records and not isinstance(rates.arrival, Unknown) and rates.arrival.average == 0:
        return f"{head} go on as it is: nothing waits and nothing arrives."
    if isinstance(rates.arrival, Unknown) or isinstance(rates.capacity, Unknown):
        return f"{head} go on as it is, as far as can be told: {_what_is_missing(situation)}."
    if not isinstance(wanted, Unknown) and wanted > situation.current:
        return f"{head} fall short, but more are not recommended now ({verdict.decision.reason})."
    if not isinstance(wanted, Unknown) and wanted < situation.current:
        return f"{head} keep {_objective(policy)}; {wanted} would do for what arrived while it was watched."
    return f"{head} {'get back to' if _is_over(policy, situation) else 'keep'} {_objective(policy)}."


def _what_is_missing(situation: Situation) -> str:
    arrival, capacity = situation.rates.arrival, situation.rates.capacity
    if isinstance(arrival, Unknown):
        return f"what arrives is not known ({arrival.why})"
    why = capacity.why if isinstance(capacity, Unknown) else ""
    return f"what a consumer can do is not known ({why})"


def _counted(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"


def _objective(policy: Policy) -> str:
    return f"its objective of {policy.lag_seconds:g} s"


def _is_bound(verdict: Verdict) -> bool:
    return any(limit.reason is Reason.AT_PARTITION_LIMIT for limit in verdict.trail)


def _is_over(policy: Policy, situation: Situation) -> bool:
    age = oldest(situation.ages)
    return not isinstance(age, Unknown) and age > policy.lag_seconds
