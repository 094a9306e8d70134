"""Verdicts on situations, to be explained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.explain import Explanation, explain
from kafka_consumer_scaler.core.findings import findings_of
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.limits import bound
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import recommend
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.stabilization import stabilize
from kafka_consumer_scaler.core.verdict import Decision, Hold, ScaleTo, Verdict
from tests.core.making import NOW, orders, steady

POLICY = Policy(max_replicas=12)
TPS = orders(12)
DARK = Unknown("no broker answered", Reason.BROKERS_UNREACHABLE)
NOT_SEEN = Unknown("not measured")


def empty(policy: Policy = POLICY) -> Verdict:
    """What is decided before anything was seen, to start from."""
    return decide(policy, History(), Replicas(2, 2), Memory(), NOW)


def judged(situation: Situation, policy: Policy = POLICY) -> Verdict:
    """The verdict on a situation, by the stages that `decide` goes through."""
    recommendation = recommend(policy, situation)
    limited = bound(recommendation, policy, situation.spread)
    memory = situation.memory.with_recommended(limited.replicas, policy, situation.now)
    stable = stabilize(limited.replicas, policy, memory, situation)
    trail = (*limited.trail, *stable.trail)
    moves = stable.replicas != situation.current
    decision: Decision = (ScaleTo if moves else Hold)(stable.replicas, stable.reason)
    start = empty(policy)
    measured = replace(start.measurements, replicas_current=situation.current, replicas_wanted=recommendation.replicas)
    return replace(start, decision=decision, memory=memory, trail=trail, situation=situation, measurements=measured,
                   findings=findings_of(policy, situation, trail), backlog=situation.backlog,
                   conditions=decide(policy, steady(range(0, 90, 15), 1, 1), Replicas(2, 2), Memory(), 75.0).conditions)


def told(situation: Situation, policy: Policy = POLICY) -> Explanation:
    return explain(policy, judged(situation, policy))


def said(sentences: Iterable[str], words: str) -> str:
    """The one sentence that has these words."""
    (found,) = [sentence for sentence in sentences if words in sentence]
    return found
