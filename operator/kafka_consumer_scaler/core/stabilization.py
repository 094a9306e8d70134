"""Windows, hysteresis and cooldown, and the Memory they need.

Law: between two changes of opposite direction lies at least the later direction's stabilization window, since a
scale-down needs the largest, a scale-up the smallest, recommendation of its window. With a window of 3 ticks down:

    recommended  2  6  2  2  2  2
    replicas     2  6  6  6  6  2        the 6 is in the window up to the fifth tick
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.limits import Limit, Scaled, step
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import Capacity
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.recommendation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown

JOIN_SECONDS = 120.0
"""How long a scale-up waits for the members of the one before."""
SCALES_KEPT = 20
KEEP_SCALES_SECONDS = 3600.0
WINDOW_SECONDS_MAX = 3600
REGRET_SECONDS = 300.0
"""A scale-up this soon after a scale-down takes it back."""


@dataclass(frozen=True, slots=True)
class Recommended:
    """A number of replicas recommended at a time (seconds since the epoch)."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What must outlive a restart; saved in the resource's status. Times are seconds since the epoch.

    Args:
        scales: changes carried out within the last hour (the newest one always), oldest first, at most 20.
        highs: recommendations that may still be the most recommended of the scale-down window, oldest first.
        lows: recommendations that may still be the least recommended of the scale-up window, oldest first.
        capacity: records/s one consumer was seen to process; None before any was measured.
        assignor: the group's last known assignor; empty before any was known.
        said: complaints that were made and not yet withdrawn, so that an event marks a change, not a state.
    """

    scales: tuple[Scaled, ...] = ()
    highs: tuple[Recommended, ...] = ()
    lows: tuple[Recommended, ...] = ()
    capacity: Capacity | None = None
    assignor: str = ""
    said: frozenset[Reason] = frozenset()

    @property
    def last_scale(self) -> Scaled | None:
        """The newest change that was carried out."""
        return self.scales[-1] if self.scales else None

    def regretted(self, now: float) -> tuple[Scaled, ...]:
        """The scale-downs of the last hour that a scale-up soon took back."""
        return tuple(
            down
            for down, then in pairwise(self.scales)
            if down.after < down.before and then.after > then.before
            and then.at - down.at <= REGRET_SECONDS and now - down.at <= KEEP_SCALES_SECONDS
        )

    def scale_down_window_seconds(self, policy: Policy, now: float) -> int:
        """The user's window, doubled by each regret of the last hour, so halved again by each hour of peace.

        300 s, two regrets: 1,200 s. At most an hour, the longest window that a user may set.
        """
        window = policy.scale_down.stabilization_window_seconds
        return min(max(window, WINDOW_SECONDS_MAX), window << len(self.regretted(now)))

    def with_scaled(self, before: int, after: int, at: float) -> Memory:
        """The memory after a change was carried out."""
        recent = [scale for scale in self.scales if scale.at > at - KEEP_SCALES_SECONDS]
        return replace(self, scales=(*recent, Scaled(at, before, after))[-SCALES_KEPT:])

    def with_recommended(self, replicas: int, policy: Policy, at: float) -> Memory:
        """The windows after one more recommendation.

        Only what may still win is kept: the highs fall and the lows rise, so each has one entry for each level.
        """
        new = Recommended(at, replicas)
        since_high = at - self.scale_down_window_seconds(policy, at)
        since_low = at - policy.scale_up.stabilization_window_seconds
        highs = tuple(old for old in self.highs if since_high <= old.at < at and old.replicas > replicas)
        lows = tuple(old for old in self.lows if since_low <= old.at < at and old.replicas < replicas)
        return replace(self, highs=(*highs, new), lows=(*lows, new))


@dataclass(frozen=True, slots=True)
class Stabilized:
    """Replicas to have now, why, in words, and the window's and the steps' share in it."""

    replicas: int
    reason: Reason
    why: str = ""
    trail: tuple[Limit, ...] = ()


Veto = Callable[[Policy, Memory, Situation], tuple[Reason, str] | None]


def stabilize(allowed: int, policy: Policy, memory: Memory, situation: Situation) -> Stabilized:
    """The number to go to now: the windows' number, unless a veto holds, as far as the step policies go.

    Replicas outside of the user's bounds go to the nearer bound first, without waiting.
    """
    current = situation.current
    if allowed == current:
        return _stay(current, Reason.WITHIN_OBJECTIVE, "as many as wanted")
    if current > policy.max_replicas or 0 < current < policy.min_replicas:
        return _move(max(policy.min_replicas, min(policy.max_replicas, current)), (), policy, memory, situation)
    wanted = _windowed(allowed, current, memory)
    words = _window_words(wanted > current, policy, memory, situation.now)
    trail = () if wanted == allowed else (Limit(wanted, Reason.STABILIZING, words),)
    if wanted == current:
        return _stay(current, Reason.STABILIZING, f"{allowed} is not yet wanted for the whole stabilization window")
    for veto in UP_VETOES if wanted > current else DOWN_VETOES:
        found = veto(policy, memory, situation)
        if found is not None:
            return _stay(current, *found)
    return _move(wanted, trail, policy, memory, situation)


def _stay(current: int, reason: Reason, why: str) -> Stabilized:
    return Stabilized(current, reason, why)


def _move(
    wanted: int, trail: tuple[Limit, ...], policy: Policy, memory: Memory, situation: Situation
) -> Stabilized:
    limited = step(wanted, situation.current, policy, memory.scales, situation.now)
    if limited.replicas == situation.current:
        why = "the behavior policies allow no more for now"
        return Stabilized(situation.current, Reason.STEP_LIMIT, why, (*trail, *limited.trail))
    reason = Reason.SCALED_UP if limited.replicas > situation.current else Reason.SCALED_DOWN
    return Stabilized(limited.replicas, reason, trail=(*trail, *limited.trail))


def _windowed(allowed: int, current: int, memory: Memory) -> int:
    if allowed > current:
        return max(current, min(low.replicas for low in memory.lows))
    return min(current, max(high.replicas for high in memory.highs))


def _window_words(is_up: bool, policy: Policy, memory: Memory, now: float) -> str:
    if is_up:
        return f"the least wanted within {policy.scale_up.stabilization_window_seconds} s"
    return f"the most wanted within {memory.scale_down_window_seconds(policy, now)} s"


def _cooldown(seconds: int, memory: Memory, now: float) -> tuple[Reason, str] | None:
    last = memory.last_scale
    if last is None or now - last.at >= seconds:
        return None
    return Reason.COOLING_DOWN, f"{now - last.at:.0f} s of {seconds} s cooldown since the last change"


def is_cooling_up(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """A change was made a moment ago; waking from zero does not wait."""
    return None if situation.current == 0 else _cooldown(policy.scale_up.cooldown_seconds, memory, situation.now)


def is_pending(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """Replicas that were asked for do not exist (quota), or have not joined the group yet."""
    current, existing = situation.current, situation.replicas.existing
    if existing < current:
        return Reason.REPLICAS_PENDING, f"{existing} of {current} replicas exist"
    last = memory.last_scale
    if last is None or situation.now - last.at >= JOIN_SECONDS or isinstance(situation.group, Unknown):
        return None
    expected = min(current, situation.spread.useful_replicas) * policy.consumer_threads
    joined = len(situation.group.members)
    if last.after <= last.before or joined >= expected:
        return None
    return Reason.REPLICAS_PENDING, f"{joined} of {expected} consumers have joined the group"


def is_uncommitted(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """Without a first commit nobody can tell a backlog from a consumer that never commits."""
    if not situation.awaits_first_commit:
        return None
    return Reason.NO_COMMITTED_OFFSETS, "the group has members and has not committed an offset yet"


def is_behind(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """A group that is behind, or of unknown standing, is never shrunk."""
    if situation.backlog is Backlog.CAUGHT_UP:
        return None
    return Reason.STILL_BEHIND, f"the backlog is {situation.backlog}"


def is_rebalancing(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """Partitions change hands, or it cannot be known whether they do."""
    if isinstance(situation.group, Unknown):
        return Reason.METRICS_PARTIAL, f"the group's state is unknown: {situation.group.why}"
    if situation.group.is_rebalancing:
        return Reason.REBALANCING, f"the group is in {situation.group.state}"
    return None


def is_rolling_out(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """Pods come or go: a rollout's surge, or the scale before is not done."""
    replicas = situation.replicas
    if replicas.existing == replicas.spec:
        return None
    return Reason.ROLLING_OUT, f"{replicas.existing} replicas exist and {replicas.spec} are asked for"


def is_freshly_watched(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """The samples do not yet cover the window without a break: after a start, a gap or a bad sample."""
    window = memory.scale_down_window_seconds(policy, situation.now)
    if situation.unbroken_seconds >= window:
        return None
    return Reason.STABILIZING, f"complete samples for {situation.unbroken_seconds:.0f} s of {window} s"


def is_cooling_down(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """A change was made a moment ago."""
    return _cooldown(policy.scale_down.cooldown_seconds, memory, situation.now)


UP_VETOES: tuple[Veto, ...] = (is_uncommitted, is_pending, is_cooling_up)
DOWN_VETOES: tuple[Veto, ...] = (
    is_behind, is_rebalancing, is_rolling_out, is_freshly_watched, is_cooling_down,
)
"""Doubt about the group comes first, then doubt about the workload, then patience: the first that holds is reported."""
