"""Replicas wanted, and because of what: by the objective, or by lag for those who set `lagPerReplica`."""

from __future__ import annotations

from dataclasses import dataclass

from kafka_consumer_scaler.core.classic import by_lag
from kafka_consumer_scaler.core.objective import by_age
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Replicas wanted before any limit, and the reason in words with its numbers."""

    replicas: int
    because: str


def recommend(policy: Policy, situation: Situation) -> Recommendation:
    """What is wanted now; 0 only for a quiet or inactive group."""
    if policy.min_replicas == 0 and _is_quiet(policy, situation):
        return Recommendation(0, "no lag and nothing arrives")
    if situation.current == 0 and policy.min_replicas == 0 and sum(situation.waiting.values()) <= policy.activation_lag:
        return Recommendation(0, f"lag does not exceed activationLag {policy.activation_lag}")
    wanted = _not_taken_back(policy, situation, _wanted(policy, situation))
    least = situation.withdrawn_to
    if least is None or situation.current < least or wanted.replicas <= least:
        return wanted
    stay = least if situation.is_withdrawn else min(wanted.replicas, situation.current)
    return Recommendation(stay, f"{wanted.because}; {wanted.replicas} wanted, more than {least} did not help")


def _not_taken_back(policy: Policy, situation: Situation, wanted: Recommendation) -> Recommendation:
    """No step down to a number that was too few for such a load a while ago; the next one above it instead."""
    few, current = situation.too_few, situation.current
    if wanted.replicas > few or wanted.replicas >= current:
        return wanted
    above = next((n for n in situation.spread.steps(current) if n > few), current)
    return Recommendation(min(above, current), f"{wanted.because}, {few} were too few a while ago")


def _is_quiet(policy: Policy, situation: Situation) -> bool:
    """Nothing waits, no offset has moved since the poll before and, for the objective, none for the whole window."""
    if situation.quiet_seconds <= 0 or situation.waits:
        return False
    return policy.lag_per_replica is not None or situation.memory.peak_arrival(policy, situation.now) == 0


def _wanted(policy: Policy, situation: Situation) -> Recommendation:
    if situation.retention is not None and situation.can_help(situation.retention[0]):
        tp, left = situation.retention
        most = situation.spread.useful_replicas
        return Recommendation(max(most, situation.current), f"{tp} loses unprocessed records in {left:,.0f} s")
    if policy.lag_per_replica is not None:
        return Recommendation(*by_lag(policy, situation, policy.lag_per_replica))
    return Recommendation(*by_age(policy, situation))
