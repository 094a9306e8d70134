"""One step down, tried in peace."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy, ScalingRules
from kafka_consumer_scaler.core.probing import is_peaceful, probed
from tests.core.making import NOW, even


@pytest.mark.parametrize(("current", "below"), [(12, 5), (10, 5), (9, 4), (5, 4), (4, 3), (3, 2), (2, 1), (1, 1)])
def test_steps_down_of_ten_partitions(current: int, below: int) -> None:
    assert probed(even(current, 0.0, partitions=10), "calm") == (below, "calm, one step down is tried")


@pytest.mark.parametrize(("regretted", "found"), [(3, 4), (4, 5), (5, 5)])
def test_a_step_that_was_regretted_is_not_tried_again(regretted: int, found: int) -> None:
    memory = Memory().with_scaled(6, regretted, NOW - 1000).with_scaled(regretted, 6, NOW - 900)
    replicas, why = probed(replace(even(5, 0.0, partitions=10), memory=memory), "calm")
    assert replicas == found
    assert why == ("calm, one step down is tried" if found == 4 else
                   f"calm, {regretted} were too few a while ago")


@pytest.mark.parametrize(("seconds", "peaceful"), [(299.9, False), (300.0, True)])
def test_peace_is_one_scale_down_window(seconds: float, peaceful: bool) -> None:
    situation = replace(even(5, 0.0), peace_seconds=seconds)
    assert is_peaceful(Policy(max_replicas=12), situation) is peaceful
    assert is_peaceful(Policy(max_replicas=12, scale_down=ScalingRules(60, 0)), situation)
