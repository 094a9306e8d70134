"""The classic rule, for those who set `lagPerReplica`: a lag for each replica, as KEDA's lagThreshold.

Two numbers, and the larger one counts. The backlog wants `ceil(lag / lagPerReplica)`, spread so that the busiest
consumer keeps to it. The arrival keeps as many of the present replicas as it needs at the capacity seen, so that a
drained backlog is not mistaken for a load that went away.
"""

from __future__ import annotations

from math import ceil, inf

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.probing import is_peaceful, probed
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown

CAPACITY_SHARE = 0.8
"""Share of the capacity seen that a smaller number of replicas may be planned to use."""


def by_lag(policy: Policy, situation: Situation, per_replica: int) -> tuple[int, str]:
    """The larger of what the backlog wants and what the arrival keeps, and because of what."""
    wanted = _for_backlog(policy, situation, per_replica)
    kept = _for_arrival(policy, situation)
    return kept if kept[0] > wanted[0] else wanted


def _for_backlog(policy: Policy, situation: Situation, per_replica: int) -> tuple[int, str]:
    """29 records at 5 a replica on 10 partitions: 6, thus 10, as 6..9 leave two partitions on one consumer."""
    waiting = {tp: lag for tp, lag in situation.lag.items() if lag > 0 and tp not in situation.stuck}
    because = f"{per_replica:,} records a replica"
    if situation.stuck:
        because += f", {len(situation.stuck)} stuck partitions left out"
    wanted = sum(waiting.values()) / per_replica
    most = max(1, ceil(len(waiting) / situation.spread.threads)) if len(waiting) < len(situation.lag) else inf
    replicas = _even(situation.spread, wanted, most)
    if _within_tolerance(policy, situation, wanted, most):
        return situation.current, f"{because}, within tolerance"
    if situation.spread.next_faster(max(1, ceil(wanted))) > most:
        return replicas, f"{because}, {len(waiting)} partitions lag"
    if replicas != max(1, ceil(wanted)):
        because += f", {ceil(wanted)} spread to {replicas} for an even share"
    return replicas, because


def _even(spread: Spread, wanted: float, most: float) -> int:
    """`wanted`, rounded up to an even share; where only so many have work at `most`, the fewest that are as fast."""
    replicas = spread.next_faster(max(1, ceil(wanted)))
    return spread.fewest_as_fast(int(most)) if replicas > most else replicas


def _within_tolerance(policy: Policy, situation: Situation, wanted: float, most: float) -> bool:
    """HPA v2: no change while wanted/current differs from 1 by at most the direction's tolerance.

    Told after the partitions that lag, and a number that the even share would only raise is no wish for fewer: so more
    lag never asks for less. 50 and 50 records on two of 10 partitions at 10 a replica want 2 of 10 replicas, as 60 and
    60 do, not 10, which would be tolerated.
    """
    current = situation.current
    if current == 0:
        return False
    ratio = min(wanted, most) / current
    if ratio > 1:
        return ratio - 1 <= policy.scale_up.tolerance
    return 1 - ratio <= policy.scale_down.tolerance or _even(situation.spread, wanted, most) >= current


def _for_arrival(policy: Policy, situation: Situation) -> tuple[int, str]:
    """500 records/s at 100 a consumer: 12 of 12, as 80 a consumer are planned with and 6..11 would need 83."""
    current, rates = situation.current, situation.rates
    if isinstance(rates.arrival, Unknown):
        return current, f"arrival unknown: {rates.arrival.why}"
    if rates.arrival.average == 0:
        return 0, "nothing arrives"
    if isinstance(rates.capacity, Unknown):
        return probed(situation, "the capacity of a consumer is unknown")
    share = CAPACITY_SHARE * policy.utilization * rates.capacity.per_consumer
    needed = _fewest_for(situation.spread, rates.arrival.average, share, current)
    because = f"{rates.arrival.average:,.0f} records/s arrive and a consumer does {rates.capacity.per_consumer:,.0f}"
    if needed == current and not rates.capacity.learned and is_peaceful(policy, situation):
        return probed(situation, f"{because} or more")
    return needed, because


def _fewest_for(spread: Spread, arrival: float, per_consumer: float, current: int) -> int:
    """The fewest replicas, at most `current`, whose busiest consumer gets at most `per_consumer` records/s."""
    total = sum(spread.shares)
    fewer = range(1, min(current, spread.useful_replicas + 1))
    fits = (n for n in fewer if arrival * spread.busiest(n) / total <= per_consumer)
    return next(fits, current)
