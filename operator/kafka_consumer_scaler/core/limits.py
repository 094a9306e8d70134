"""Bounds, useful partitions, step and change limits: from the replicas wanted to the replicas allowed, with the trail.

`minReplicas` wins over the useful partitions (spare replicas are the user's wish); everything else is at most

    ceiling = max(minReplicas, min(maxReplicas, useful replicas))
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.memory import Scaled
from kafka_consumer_scaler.core.policy import (
    HOUR_SECONDS,
    MINUTE_SECONDS,
    ChangeLimit,
    Policy,
    ScalingRules,
    SelectPolicy,
    StepPolicy,
    StepUnit,
)
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import Recommendation


@dataclass(frozen=True, slots=True)
class Limit:
    """One change of mind on the way: the number it left, under which reason, in words."""

    replicas: int
    reason: Reason
    why: str


@dataclass(frozen=True, slots=True)
class Limited:
    """Replicas allowed, and the limits that bound, in order."""

    replicas: int
    trail: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Spent:
    """A change limit that allows no further change now; the next is possible in `seconds_left`."""

    limit: ChangeLimit
    seconds_left: float

    @property
    def wait(self) -> str:
        """The time left, rounded up, in a unit of which there are at least two: `45 s`, `12 min`, `3 h`."""
        if self.seconds_left < 2 * MINUTE_SECONDS:
            return f"{ceil(self.seconds_left)} s"
        if self.seconds_left < 2 * HOUR_SECONDS:
            return f"{ceil(self.seconds_left / MINUTE_SECONDS)} min"
        return f"{ceil(self.seconds_left / HOUR_SECONDS)} h"


def ceiling(policy: Policy, spread: Spread) -> int:
    """The most replicas ever asked for."""
    return max(policy.min_replicas, min(policy.max_replicas, spread.useful_replicas))


def bound(recommendation: Recommendation, policy: Policy, spread: Spread) -> Limited:
    """The recommendation within the bounds: 15 wanted -> 12 (useful) -> 8 (maxReplicas) -> 6 (as fast)."""
    trail: list[Limit] = []
    replicas = recommendation.replicas
    useful = max(policy.min_replicas, spread.useful_replicas)
    if replicas > useful:
        replicas = useful
        trail.append(Limit(replicas, Reason.AT_PARTITION_LIMIT, f"{spread.useful_replicas} useful for the partitions"))
    if replicas > policy.max_replicas:
        replicas = policy.max_replicas
        trail.append(Limit(replicas, Reason.AT_MAX_REPLICAS, f"maxReplicas {policy.max_replicas}"))
        replicas = _drop_idle(replicas, policy, spread, trail)
    if replicas < policy.min_replicas:
        replicas = policy.min_replicas
        trail.append(Limit(replicas, Reason.AT_MIN_REPLICAS, f"minReplicas {policy.min_replicas}"))
    return Limited(replicas, tuple(trail))


def _drop_idle(replicas: int, policy: Policy, spread: Spread, trail: list[Limit]) -> int:
    fewest = max(policy.min_replicas, spread.fewest_as_fast(replicas))
    if fewest < replicas:
        trail.append(Limit(fewest, Reason.AT_MAX_REPLICAS, f"as fast as {replicas}"))
    return min(fewest, replicas)


def step(wanted: int, current: int, policy: Policy, scales: tuple[Scaled, ...], now: float) -> Limited:
    """What the step policies of the direction leave of a move from `current` to `wanted` (HPA v2 `behavior`)."""
    rules = policy.scale_up if wanted > current else policy.scale_down
    if wanted == current or (not rules.policies and rules.select_policy is not SelectPolicy.DISABLED):
        return Limited(wanted)
    furthest = _furthest(rules, current, wanted > current, scales, now)
    allowed = min(wanted, max(current, furthest)) if wanted > current else max(wanted, min(current, furthest))
    if allowed == wanted:
        return Limited(wanted)
    return Limited(allowed, (Limit(allowed, Reason.STEP_LIMIT, "behavior policies"),))


def _furthest(rules: ScalingRules, current: int, is_up: bool, scales: tuple[Scaled, ...], now: float) -> int:
    if rules.select_policy is SelectPolicy.DISABLED:
        return current
    ends = [_end(policy, current, is_up, scales, now) for policy in rules.policies]
    return max(ends) if (rules.select_policy is SelectPolicy.MAX) == is_up else min(ends)


def _end(policy: StepPolicy, current: int, is_up: bool, scales: tuple[Scaled, ...], now: float) -> int:
    """Where one policy ends: 4 replicas at the period's start, 100% up -> 8, however many steps led there."""
    moved = sum(scale.after - scale.before for scale in scales if scale.at > now - policy.period_seconds)
    start = current - moved
    if policy.unit is StepUnit.PODS:
        return start + policy.value if is_up else start - policy.value
    share = policy.value / 100
    return ceil(start * (1 + share)) if is_up else floor(start * (1 - share))


def spent(rules: ScalingRules, times: tuple[float, ...], now: float) -> Spent | None:
    """The change limit that allows no further change for the longest time; None when all of them allow one.

    Args:
        rules: those of one direction.
        times: when changes in this direction were made, seconds since the epoch, oldest first.
        now: seconds since the epoch.

    2 an hour, made 3,000 s and 600 s ago: the next in 600 s, when the older one is an hour old.
    """
    found = (_spent(limit, times, now) for limit in rules.change_limits)
    return max((each for each in found if each is not None), key=lambda each: each.seconds_left, default=None)


def _spent(limit: ChangeLimit, times: tuple[float, ...], now: float) -> Spent | None:
    counted = [at for at in times if at > now - limit.period_seconds]
    if len(counted) < limit.changes:
        return None
    return Spent(limit, counted[-limit.changes] + limit.period_seconds - now)
