"""Changes of the replicas that are not ours: how many, by whom, and until when they are a finding."""

from __future__ import annotations

from itertools import pairwise

from kafka_consumer_scaler.core.diagnosis import Finding
from kafka_consumer_scaler.core.limits import Limit
from kafka_consumer_scaler.core.memory import KEEP_SCALES_SECONDS, Memory, OthersChange
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation

CHANGES_AT_LEAST = 2
"""One change is a person with `kubectl scale`; the second one within an hour is a habit."""
QUIET_GAPS = 2
"""The finding ends when nobody has changed the replicas for as long as two of the longest gaps between changes."""


def replicas_changed_by_others(policy: Policy, situation: Situation, trail: tuple[Limit, ...]) -> Finding | None:
    """Others set the replicas again and again, so that two writers undo each other's changes.

    Changes at 0, 180 and 360 s: a finding from 180 s on, until 360 + 2 * 180 = 720 s if no other change follows.
    Nothing while this resource does not scale: then the others are those who do.
    """
    recent = recent_changes(situation.memory, situation.now)
    if policy.mode is not Mode.ACTIVE or policy.paused or len(recent) < CHANGES_AT_LEAST:
        return None
    gaps = [later.at - earlier.at for earlier, later in pairwise(recent)]
    if situation.now - recent[-1].at > QUIET_GAPS * max(gaps):
        return None
    newest = recent[-1]
    return Finding(
        Reason.REPLICAS_CHANGED_BY_OTHERS,
        f"replicas was changed from {newest.before} to {newest.after} by {newest.manager or 'somebody else'}, "
        f"{len(recent)} times within the hour",
        "leave `replicas` out of the manifest that is applied; in Argo CD, ignoreDifferences for /spec/replicas")


def recent_changes(memory: Memory, now: float) -> tuple[OthersChange, ...]:
    """The changes by others that were seen within the last hour, oldest first."""
    return tuple(each for each in memory.others if each.at > now - KEEP_SCALES_SECONDS)


def taken_away_by_others(memory: Memory, since: float) -> int:
    """Replicas that others took away since a time (seconds since the epoch); their members left the group."""
    return sum(max(0, each.before - each.after) for each in memory.others if each.at >= since)
