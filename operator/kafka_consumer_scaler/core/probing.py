"""Trying one step down: what is known of a consumer's capacity may be a lower bound, or too low by now."""

from __future__ import annotations

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown

PROBE_WINDOWS = 1
"""Scale-down windows of peace after which one step down is tried."""
PROBE_WINDOWS_BOUND = 5
"""The same, while no more than a lower bound of the capacity is known."""


def is_peaceful(policy: Policy, situation: Situation) -> bool:
    """Samples came without a gap and nothing was scaled for as many scale-down windows as what is known asks for.

    A lower bound says little of what fewer could do, so half of the probes it allows are taken back: it is probed after
    five windows. One is enough after a step down that was good, and with a learned capacity, whose probes are paid for.
    """
    return situation.peace_seconds >= _windows(situation) * policy.scale_down.stabilization_window_seconds


def _windows(situation: Situation) -> int:
    capacity, last = situation.rates.capacity, situation.memory.last_scale
    is_known = not isinstance(capacity, Unknown) and capacity.learned
    return PROBE_WINDOWS if is_known or (last is not None and last.after < last.before) else PROBE_WINDOWS_BOUND


def step_below(situation: Situation) -> int:
    """The next number of replicas that is slower than the present one."""
    here = situation.spread.fewest_as_fast(min(situation.current, situation.spread.useful_replicas))
    return situation.spread.fewest_as_fast(max(1, here - 1))


def probed(situation: Situation, why: str) -> tuple[int, str]:
    """One useful step down, 10 -> 5 -> 4 of 10 partitions, unless that step was regretted within the hour."""
    below = step_below(situation)
    if below >= situation.current:
        return situation.current, why
    return below, f"{why}, one step down is tried"
