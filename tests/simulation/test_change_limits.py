"""No window of an hour or a day ever holds more changes than the user allows, in closed loop."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.core.policy import DEFAULT_SCALE_DOWN, DEFAULT_SCALE_UP, Policy, ScalingRules
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.run import Record, run
from kafka_consumer_scaler.simulation.workload import workload

PER_HOUR = 1


def limited(rules: ScalingRules) -> ScalingRules:
    return ScalingRules(rules.stabilization_window_seconds, rules.cooldown_seconds, max_changes_per_hour=PER_HOUR)


def changes(found: Record, direction: int) -> list[float]:
    """When replicas were added (1) or taken away (-1), seconds."""
    return [at for at, before, after in found.scales if (after - before) * direction > 0]


@pytest.mark.parametrize(("family", "direction"), [
    ("diurnal", 1), ("diurnal", -1), ("spike-train", 1), ("spike-train", -1), ("idle-to-zero", -1)])
def test_no_hour_holds_more_changes_than_allowed(family: str, direction: int) -> None:
    """Waking from zero is not limited: of idle-to-zero only the ways down are counted."""
    load = workload(family, 2)
    policy = Policy(max_replicas=12, min_replicas=load.min_replicas, scale_up=limited(DEFAULT_SCALE_UP),
                    scale_down=limited(DEFAULT_SCALE_DOWN))
    made = changes(run(load.plant, load.arrival, KafkaConsumerScaler(policy), load.seed), direction)
    assert all(later - earlier >= 3600 - policy.polling_interval_seconds
               for earlier, later in zip(made, made[PER_HOUR:], strict=False)), made
    free = Policy(max_replicas=12, min_replicas=load.min_replicas)
    assert len(made) < len(changes(run(load.plant, load.arrival, KafkaConsumerScaler(free), load.seed), direction))
