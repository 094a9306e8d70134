"""The HorizontalPodAutoscaler for one External metric with an AverageValue target.

Source: Kubernetes 1.33 and later, pkg/controller/podautoscaler: replica_calculator.go (Tolerances.isWithin,
GetExternalPerPodMetricReplicas), horizontal.go (reconcileAutoscaler, stabilizeRecommendationWithBehaviors,
convertDesiredReplicasWithBehaviorRate, calculateScaleUpLimitWithScalingRules, calculateScaleDownLimitWithBehaviors;
without a behavior stabilizeRecommendation, convertDesiredReplicasWithRules); defaults in
pkg/apis/autoscaling/v2/defaults.go.

One sync, with T the target, s the pods that exist and n the replicas asked for:

    ratio     = usage / (T * s)
    wanted    = s if 0.9 <= ratio <= 1.1 else ceil(usage / T)
    stable    = n, raised to the least wanted of the up-window, lowered to the most wanted of the down-window
    allowed   = stable within the step policies of its direction, counted from the replicas at their period's start,
                and within minReplicas and maxReplicas
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf

from kafka_consumer_scaler.core.policy import SelectPolicy, StepPolicy, StepUnit

SYNC_SECONDS = 15.0
"""`--horizontal-pod-autoscaler-sync-period`."""
TOLERANCE = 0.1
"""`--horizontal-pod-autoscaler-tolerance`."""
LEGACY_FACTOR, LEGACY_LEAST = 2, 4
"""Without a behavior one sync goes up to twice the replicas, or to 4 if that is more."""
LEGACY_WINDOW_SECONDS = 300.0
"""`--horizontal-pod-autoscaler-downscale-stabilization`, the down-window without a behavior."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of the HPA v2 `behavior`."""

    stabilization_seconds: float
    policies: tuple[StepPolicy, ...]
    select: SelectPolicy = SelectPolicy.MAX


@dataclass(frozen=True, slots=True)
class Behavior:
    """The HPA v2 `behavior`, with Kubernetes' defaults."""

    up: Rules = Rules(0.0, (StepPolicy(StepUnit.PODS, 4, 15), StepPolicy(StepUnit.PERCENT, 100, 15)))
    down: Rules = Rules(300.0, (StepPolicy(StepUnit.PERCENT, 100, 15),))


DEFAULT_BEHAVIOR = Behavior()


@dataclass(slots=True)
class Hpa:
    """One HorizontalPodAutoscaler with its memory.

    Args:
        target: usage for each pod (AverageValue).
        min_replicas: at least 1.
        behavior: None is an HPA whose manifest has no `behavior` at all: one sync at most doubles (or goes to 4), and
            only the down-window of 300 s holds.
        tolerance: share by which the ratio may differ from 1.
    """

    target: float
    min_replicas: int
    max_replicas: int
    behavior: Behavior | None = DEFAULT_BEHAVIOR
    tolerance: float = TOLERANCE
    _recommended: list[tuple[float, int]] = field(default_factory=list)
    _scaled: list[tuple[float, int]] = field(default_factory=list)
    _is_new: bool = True

    def sync(self, at: float, usage: float | None, spec: int, existing: int) -> int | None:
        """Replicas to ask for now, None for no change.

        Args:
            usage: the metric's value; None is a metric that could not be had.
            spec: replicas the target asks for.
            existing: pods that exist (`status.replicas`).
        """
        self._remember_first(at, spec)
        wanted = self._wanted(at, usage, spec, existing)
        if wanted is None or wanted == spec:
            return None
        self._scaled.append((at, wanted - spec))
        return wanted

    def _remember_first(self, at: float, spec: int) -> None:
        if self._is_new:
            self._recommended.append((at, spec))
            self._is_new = False

    def _wanted(self, at: float, usage: float | None, spec: int, existing: int) -> int | None:
        if spec == 0:
            return None
        if not self.min_replicas <= spec <= self.max_replicas:
            return min(max(spec, self.min_replicas), self.max_replicas)
        if usage is None:
            return None
        return self._normalized(at, recommend(usage, self.target, existing, self.tolerance), spec)

    def _normalized(self, at: float, recommended: int, spec: int) -> int:
        if self.behavior is None:
            _, stable = self._window(at, recommended, 0.0, LEGACY_WINDOW_SECONDS)
            most = min(self.max_replicas, max(LEGACY_FACTOR * spec, LEGACY_LEAST))
            return max(self.min_replicas, min(stable, most))
        up, down = self.behavior.up, self.behavior.down
        least, most = self._window(at, recommended, up.stabilization_seconds, down.stabilization_seconds)
        return self._rate_limited(at, min(max(spec, least), most), spec, self.behavior)

    def _window(self, at: float, recommended: int, up_seconds: float, down_seconds: float) -> tuple[int, int]:
        """The least recommendation of the up-window and the most of the down-window; this one is remembered."""
        least = min([recommended, *(replicas for then, replicas in self._recommended if then > at - up_seconds)])
        most = max([recommended, *(replicas for then, replicas in self._recommended if then > at - down_seconds)])
        oldest = at - max(up_seconds, down_seconds)
        self._recommended = [each for each in self._recommended if each[0] > oldest] + [(at, recommended)]
        return least, most

    def _rate_limited(self, at: float, stable: int, spec: int, behavior: Behavior) -> int:
        if stable > spec:
            most = max(spec, _limit(behavior.up, spec, self._scaled, at, is_up=True))
            return min(stable, most, self.max_replicas)
        if stable < spec:
            least = min(spec, _limit(behavior.down, spec, self._scaled, at, is_up=False))
            return max(stable, least, self.min_replicas)
        return stable


def recommend(usage: float, target: float, existing: int, tolerance: float = TOLERANCE) -> int:
    """Replicas for `usage`: `existing` while the usage of each is about `target`, else ceil(usage / target)."""
    ratio = usage / (target * existing) if existing else inf
    if 1.0 - tolerance <= ratio <= 1.0 + tolerance:
        return existing
    return ceil(usage / target)


def _limit(rules: Rules, spec: int, scaled: list[tuple[float, int]], at: float, is_up: bool) -> int:
    """As far as the step policies let a move go; each counts from the replicas at the start of its period."""
    if rules.select is SelectPolicy.DISABLED:
        return spec
    ends = [_end(policy, spec, scaled, at, is_up) for policy in rules.policies]
    return max(ends) if (rules.select is SelectPolicy.MAX) == is_up else min(ends)


def _end(policy: StepPolicy, spec: int, scaled: list[tuple[float, int]], at: float, is_up: bool) -> int:
    start = spec - sum(change for then, change in scaled if then > at - policy.period_seconds)
    if policy.unit is StepUnit.PODS:
        return start + policy.value if is_up else start - policy.value
    share = policy.value / 100
    return ceil(start * (1 + share)) if is_up else int(start * (1 - share))
