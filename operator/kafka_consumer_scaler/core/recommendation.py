"""Replicas wanted, and because of what.

Two numbers, and the larger one counts. The backlog wants `ceil(lag / lagPerReplica)` (the classic rule), spread so that
the busiest consumer keeps to it. The arrival keeps as many of the present replicas as it needs at the capacity seen, so
that a drained backlog is not mistaken for a load that went away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import Rates
from kafka_consumer_scaler.core.snapshot import Group, Replicas, TopicPartition, Unknown

CAPACITY_SHARE = 0.8
"""Share of the capacity seen that a smaller number of replicas may be planned to use."""
PROBE_WINDOWS = 3
"""Scale-down windows of peace after which one step below the capacity seen is tried."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is known at `now` about one group and its workload, when nothing essential is unknown.

    Args:
        quiet_seconds: for how long, up to the latest sample, no offset moved; 0 when one just did.
        unbroken_seconds: for how long every sample was complete.
        peace_seconds: for how long every sample was complete and nothing was scaled.
        regretted_replicas: a scale-down to this number was soon taken back within the last hour; 0 for none.
        awaits_first_commit: there are members and lag, and the group has not committed any offset.
    """

    now: float
    replicas: Replicas
    group: Group | Unknown
    lag: Mapping[TopicPartition, int]
    stuck: frozenset[TopicPartition]
    age: float | Unknown
    rates: Rates
    spread: Spread
    backlog: Backlog
    quiet_seconds: float
    unbroken_seconds: float
    peace_seconds: float
    regretted_replicas: int
    awaits_first_commit: bool

    @property
    def lag_records(self) -> int:
        """Total lag, stuck partitions included."""
        return sum(self.lag.values())

    @property
    def current(self) -> int:
        """Replicas asked for at present."""
        return self.replicas.spec


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Replicas wanted before any limit, and the reason in words with its numbers."""

    replicas: int
    because: str


def recommend(policy: Policy, situation: Situation) -> Recommendation:
    """The larger of what the backlog wants and what the arrival keeps; 0 only for a quiet or inactive group."""
    if situation.lag_records == 0 and situation.quiet_seconds > 0 and policy.min_replicas == 0:
        return Recommendation(0, "no lag and nothing arrives")
    if situation.current == 0 and policy.min_replicas == 0 and situation.lag_records <= policy.activation_lag:
        return Recommendation(0, f"lag does not exceed activationLag {policy.activation_lag}")
    wanted = _for_backlog(policy, situation)
    kept = _for_arrival(policy, situation)
    return kept if kept.replicas > wanted.replicas else wanted


def _for_backlog(policy: Policy, situation: Situation) -> Recommendation:
    """29 records at 5 a replica on 10 partitions: 6, thus 10, as 6..9 leave two partitions on one consumer."""
    waiting = {tp: lag for tp, lag in situation.lag.items() if lag > 0 and tp not in situation.stuck}
    per_replica = policy.lag_per_replica_target
    raw = max(1, ceil(sum(waiting.values()) / per_replica))
    because = f"{per_replica:,} records a replica"
    if situation.stuck:
        because += f", {len(situation.stuck)} stuck partitions left out"
    if _within_tolerance(policy, situation.current, sum(waiting.values()) / per_replica):
        return Recommendation(situation.current, f"{because}, within tolerance")
    lagging = max(1, ceil(len(waiting) / policy.consumer_threads))
    spread = situation.spread.next_faster(raw)
    if spread > lagging and len(waiting) < len(situation.lag):
        return Recommendation(situation.spread.fewest_as_fast(lagging), f"{because}, {len(waiting)} partitions lag")
    if spread != raw:
        because += f", {raw} spread to {spread} for an even share"
    return Recommendation(spread, because)


def _within_tolerance(policy: Policy, current: int, wanted: float) -> bool:
    """HPA v2: no change while wanted/current differs from 1 by at most the direction's tolerance."""
    if current == 0:
        return False
    ratio = wanted / current
    tolerance = policy.scale_up.tolerance if ratio > 1 else policy.scale_down.tolerance
    return abs(ratio - 1) <= tolerance


def _for_arrival(policy: Policy, situation: Situation) -> Recommendation:
    """500 records/s at 100 a consumer: 12 of 12, as 80 a consumer are planned with and 6..11 would need 83."""
    current, rates = situation.current, situation.rates
    if isinstance(rates.arrival, Unknown):
        return Recommendation(current, f"arrival unknown: {rates.arrival.why}")
    if rates.arrival == 0:
        return Recommendation(0, "nothing arrives")
    if isinstance(rates.capacity, Unknown):
        return _probed(situation, "the capacity of a consumer is unknown")
    share = CAPACITY_SHARE * policy.utilization * rates.capacity.per_consumer
    needed = _fewest_for(situation.spread, rates.arrival, share, current)
    because = f"{rates.arrival:,.0f} records/s arrive and a consumer does {rates.capacity.per_consumer:,.0f}"
    waited = situation.peace_seconds >= PROBE_WINDOWS * policy.scale_down.stabilization_window_seconds
    if needed == current and not rates.capacity.learned and waited:
        return _probed(situation, f"{because} or more")
    return Recommendation(needed, because)


def _fewest_for(spread: Spread, arrival: float, per_consumer: float, current: int) -> int:
    """The fewest replicas, at most `current`, whose busiest consumer gets at most `per_consumer` records/s."""
    total = sum(spread.shares)
    fits = (n for n in range(1, current) if arrival * spread.busiest(n) / total <= per_consumer)
    return next(fits, current)


def _probed(situation: Situation, why: str) -> Recommendation:
    """One useful step down, 10 -> 5 -> 4 of 10 partitions, unless that step was regretted within the hour."""
    here = situation.spread.fewest_as_fast(min(situation.current, situation.spread.useful_replicas))
    below = situation.spread.fewest_as_fast(max(1, here - 1))
    if below <= situation.regretted_replicas:
        return Recommendation(situation.current, f"{why}, {situation.regretted_replicas} were too few a while ago")
    return Recommendation(below, f"{why}, one step down is tried")
