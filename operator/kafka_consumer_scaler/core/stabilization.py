"""Windows, hysteresis, cooldown and the changes within an hour or a day.

Law: between two changes of opposite direction lies at least the later direction's cooldown. Under `lagPerReplica` also
its stabilization window, since a scale-down needs the largest, a scale-up the smallest, recommendation of its window.
With a window of 3 ticks down:

    recommended  2  6  2  2  2  2
    replicas     2  6  6  6  6  2        the 6 is in the window up to the fifth tick

Under the objective the window is one of arrival rates: a scale-down is wanted only if it holds the highest of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.effect import expected_members, give_up_joining_seconds
from kafka_consumer_scaler.core.limits import Limit, Spent, spent, step
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown

GIVE_UP_REBALANCE_SECONDS = 600.0
GIVE_UP_REBALANCE_PAUSES = 4
"""A rebalance that lasts longer than this, and than so many usual ones, no longer holds up a scale-down."""
GIVE_UP_ROLLOUT_SECONDS = 900.0
GIVE_UP_ROLLOUT_STARTS = 4
"""Pods that come or go for longer than this, and than so many starts, such as a canary, hold up no scale-down."""
FAILED_POLLS = 2
"""Polling intervals after a bad sample in which nothing is taken away."""


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
    if is_out_of_bounds(policy, current):
        return _move(max(policy.min_replicas, min(policy.max_replicas, current)), (), policy, memory, situation)
    if situation.retention is not None and situation.can_help(situation.retention[0]) and allowed > current:
        return Stabilized(allowed, Reason.SCALED_UP)
    wanted = _windowed(allowed, policy, memory, situation)
    words = _window_words(wanted > current, policy, memory, situation.now)
    trail = () if wanted == allowed else (Limit(wanted, Reason.STABILIZING, words),)
    if wanted == current:
        return _stay(current, Reason.STABILIZING, f"{allowed} is not yet wanted for the whole stabilization window")
    for veto in _vetoes(wanted, situation):
        found = veto(policy, memory, situation)
        if found is not None:
            return _stay(current, *found)
    return _move(wanted, trail, policy, memory, situation)


def is_out_of_bounds(policy: Policy, current: int) -> bool:
    """The user's own bounds ask for another number; 0 replicas are a number of their own."""
    return current > policy.max_replicas or 0 < current < policy.min_replicas


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


def _windowed(allowed: int, policy: Policy, memory: Memory, situation: Situation) -> int:
    current = situation.current
    if allowed > current:
        return max(current, min(low.replicas for low in memory.lows))
    if policy.lag_per_replica is None or situation.is_withdrawn:
        return allowed
    return min(current, max(high.replicas for high in memory.highs))


def _vetoes(wanted: int, situation: Situation) -> tuple[Veto, ...]:
    if wanted > situation.current:
        return UP_VETOES
    return WITHDRAWAL_VETOES if situation.is_withdrawn else DOWN_VETOES


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
    """Replicas that were asked for do not exist (quota), have not joined the group yet, or have left it."""
    current, existing = situation.current, situation.replicas.existing
    if existing < current:
        return Reason.REPLICAS_PENDING, f"{existing} of {current} replicas exist"
    joined = situation.members
    if memory.awaited is None or isinstance(situation.group, Unknown) or isinstance(joined, Unknown):
        return None
    has_given_up = situation.now - memory.awaited.at >= give_up_joining_seconds(situation)
    if current > 0 and not joined and not situation.group.is_rebalancing:
        return Reason.REPLICAS_PENDING, f"none of {current} replicas is a member of the group"
    expected = expected_members(situation)
    if joined >= expected or has_given_up:
        return None
    return Reason.REPLICAS_PENDING, f"{joined} of {expected} consumers have joined the group"


def is_settling(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """The rebalance of the last change goes on: another change would begin it again.

    It begins when the new consumers join: until they have been seen to, one that began later is that of the change, for
    as long as a few usual ones.
    """
    group, since = situation.group, situation.since_scaled
    if isinstance(group, Unknown) or not group.is_rebalancing or since >= give_up_rebalance_seconds(situation):
        return None
    began_later = situation.rebalancing_seconds + 2 * policy.polling_interval_seconds < since
    is_usual = situation.rebalancing_seconds < GIVE_UP_REBALANCE_PAUSES * situation.pause_seconds
    if began_later and (memory.awaited is None or not is_usual):
        return None
    return Reason.REBALANCING, f"the group is in {group.state} since the last change"


def give_up_rebalance_seconds(situation: Situation) -> float:
    """How long a rebalance holds up a change."""
    return max(GIVE_UP_REBALANCE_SECONDS, GIVE_UP_REBALANCE_PAUSES * situation.pause_seconds)


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
        if situation.group.reason is Reason.MEMBERS_UNSEEN:
            return None
        return Reason.METRICS_PARTIAL, f"the group's state is unknown: {situation.group.why}"
    if situation.group.is_rebalancing and situation.rebalancing_seconds < give_up_rebalance_seconds(situation):
        return Reason.REBALANCING, f"the group is in {situation.group.state}"
    return None


def is_rolling_out(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """Pods come or go: a rollout's surge, or the scale before is not done."""
    replicas, since = situation.replicas, situation.memory.uneven_since
    patience = max(GIVE_UP_ROLLOUT_SECONDS, GIVE_UP_ROLLOUT_STARTS * situation.join_seconds)
    if replicas.existing == replicas.spec or (since is not None and situation.now - since >= patience):
        return None
    return Reason.ROLLING_OUT, f"{replicas.existing} replicas exist and {replicas.spec} are asked for"


def is_freshly_watched(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """The samples do not yet cover the window without a gap, or one of the looks of late was a bad one."""
    window = memory.scale_down_window_seconds(policy, situation.now)
    doubtful = FAILED_POLLS * policy.polling_interval_seconds
    if situation.unfailed_seconds <= doubtful:
        return Reason.STABILIZING, f"{situation.unfailed_seconds:.0f} s of {doubtful} s since a look that failed"
    if situation.unbroken_seconds >= window:
        return None
    return Reason.STABILIZING, f"complete samples for {situation.unbroken_seconds:.0f} s of {window} s"


def is_cooling_down(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """A change was made a moment ago."""
    return _cooldown(policy.scale_down.cooldown_seconds, memory, situation.now)


def is_spent_up(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """As many scale-ups as are allowed were made within the last hour or day."""
    found = spent_limit(policy, memory, situation, is_up=True)
    return None if found is None else (Reason.STEP_LIMIT, _spent_words(found, "scale-ups"))


def is_spent_down(policy: Policy, memory: Memory, situation: Situation) -> tuple[Reason, str] | None:
    """As many scale-downs as are allowed were made within the last hour or day."""
    found = spent_limit(policy, memory, situation, is_up=False)
    return None if found is None else (Reason.STEP_LIMIT, _spent_words(found, "scale-downs"))


def spent_limit(policy: Policy, memory: Memory, situation: Situation, *, is_up: bool) -> Spent | None:
    """The limit by the hour or day that allows no further change in a direction; None when none holds.

    Waking from zero, a withdrawal and the way back into the bounds yield to none of them. A scale-up for retention is
    made before any veto.
    """
    if is_out_of_bounds(policy, situation.current):
        return None
    if is_up:
        return None if situation.current == 0 else spent(policy.scale_up, memory.ups, situation.now)
    return None if situation.is_withdrawn else spent(policy.scale_down, memory.downs, situation.now)


def _spent_words(found: Spent, changes: str) -> str:
    """`4 of 4 scale-downs within an hour; the next is possible in 12 min`."""
    allowed, period = found.limit.changes, "an hour" if found.limit.is_hourly else "a day"
    return f"{allowed} of {allowed} {changes} within {period}; the next is possible in {found.wait}"


UP_VETOES: tuple[Veto, ...] = (is_uncommitted, is_pending, is_settling, is_cooling_up, is_spent_up)
DOWN_VETOES: tuple[Veto, ...] = (
    is_behind, is_rebalancing, is_rolling_out, is_freshly_watched, is_cooling_down, is_spent_down,
)
WITHDRAWAL_VETOES: tuple[Veto, ...] = (is_rebalancing, is_rolling_out)
"""Doubt about the group comes first, then doubt about the workload, then patience: the first that holds is reported.

The changes within an hour or a day are the last to be judged: their limit is reported where nothing else holds."""
