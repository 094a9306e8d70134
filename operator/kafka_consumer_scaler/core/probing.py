"""Trying one step down: what is known of a consumer's capacity may be a lower bound, or too low by now."""

from __future__ import annotations

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation

PROBE_WINDOWS = 1
"""Scale-down windows of peace after which one step down is tried."""


def is_peaceful(policy: Policy, situation: Situation) -> bool:
    """Every sample was complete and nothing was scaled for a scale-down window."""
    return situation.peace_seconds >= PROBE_WINDOWS * policy.scale_down.stabilization_window_seconds


def step_below(situation: Situation) -> int:
    """The next number of replicas that is slower than the present one."""
    here = situation.spread.fewest_as_fast(min(situation.current, situation.spread.useful_replicas))
    return situation.spread.fewest_as_fast(max(1, here - 1))


def probed(situation: Situation, why: str) -> tuple[int, str]:
    """One useful step down, 10 -> 5 -> 4 of 10 partitions, unless that step was regretted within the hour."""
    below = step_below(situation)
    if below <= situation.regretted_replicas:
        return situation.current, f"{why}, {situation.regretted_replicas} were too few a while ago"
    return below, f"{why}, one step down is tried"
