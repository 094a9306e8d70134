"""One step down, tried in peace."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy, ScalingRules
from kafka_consumer_scaler.core.probing import is_peaceful, probed
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown
from tests.core.making import NOW, even, known


@pytest.mark.parametrize(("current", "below"), [(12, 5), (10, 5), (9, 4), (5, 4), (4, 3), (3, 2), (2, 1)])
def test_steps_down_of_ten_partitions(current: int, below: int) -> None:
    assert probed(even(current, 0.0, partitions=10), "calm") == (below, "calm, one step down is tried")


def test_below_one_replica_nothing_is_tried() -> None:
    assert probed(even(1, 0.0, partitions=10), "calm") == (1, "calm")


BOUND, LEARNED = (replace(even(5, 10.0), rates=known(10.0, 100.0, learned=each)) for each in (False, True))


@pytest.mark.parametrize(("situation", "windows"), [
    (LEARNED, 1), (BOUND, 5), (replace(BOUND, rates=known(10.0, Unknown("not measured"))), 5),
    (replace(BOUND, memory=Memory().with_scaled(6, 5, NOW - 1600)), 1),
    (replace(BOUND, memory=Memory().with_scaled(4, 5, NOW - 1600)), 5)])
def test_peace_is_five_windows_for_a_lower_bound_and_one_after_a_step_down(situation: Situation, windows: int) -> None:
    for seconds in (300, 60):
        policy = Policy(max_replicas=12, scale_down=ScalingRules(seconds, 0))
        assert is_peaceful(policy, replace(situation, peace_seconds=float(windows * seconds)))
        assert not is_peaceful(policy, replace(situation, peace_seconds=windows * seconds - 0.1))
