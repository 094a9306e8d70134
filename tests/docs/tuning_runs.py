"""The table of docs/guides/tuning.md: one field set at a time, on simulated loads, by the operator's own `decide`.

`python -m tests.docs.tuning_runs` prints it; about two minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

import yaml

from kafka_consumer_scaler.api.v1alpha1 import API_VERSION, KIND, KafkaConsumerScaler
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.simulation.compare import play
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler as Simulated
from kafka_consumer_scaler.simulation.score import Score
from kafka_consumer_scaler.simulation.workload import workload

FAMILIES: Final = ("step", "ramp", "spike-train", "diurnal")
SEEDS: Final = range(1, 6)
SETTINGS: Final = (
    "maxReplicas: 12",
    "target.lagSeconds: 30",
    "target.lagSeconds: 120",
    "target.lagSeconds: 300",
    "target.utilization: 0.7",
    "recoverySeconds: 60",
    "minReplicas: 3",
    "pollingIntervalSeconds: 5",
    "pollingIntervalSeconds: 60",
    "behavior.scaleDown.stabilizationWindowSeconds: 60",
    "behavior.scaleDown.stabilizationWindowSeconds: 900",
    "behavior.scaleDown.cooldownSeconds: 600",
    "behavior.scaleDown.maxChangesPerHour: 2",
    "behavior.scaleUp.maxChangesPerHour: 2",
)
"""The first is the default resource."""


def policy_with(setting: str) -> Policy:
    """The policy of the default resource with `maxReplicas: 12` and a field, written `path.of.the.field: value`."""
    path, value = setting.split(": ")
    spec: dict[str, Any] = {"scaleTargetRef": {"name": "orders"}, "kafka": {"bootstrapServers": "kafka:9092"},
                            "consumerGroup": "orders", "maxReplicas": 12}
    *outer, name = path.split(".")
    inner = spec
    for part in outer:
        inner = inner.setdefault(part, {})
    inner[name] = yaml.safe_load(value)
    manifest = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "orders", "namespace": "shop"},
                "spec": spec}
    return KafkaConsumerScaler.parse(manifest, strict=True).policy()


def score(setting: str, family: str, seed: int) -> Score:
    """One run."""
    load, policy = workload(family, seed), policy_with(setting)
    return play(load, policy, Simulated(policy)).score


def row(setting: str) -> str:
    """A line of the table: the oldest record of all runs, and sums over them."""
    found = [score(setting, family, seed) for family in FAMILIES for seed in SEEDS]
    oldest = max(each.lag_seconds_max for each in found)
    over_a_minute = sum(each.seconds_over_objective for each in found)
    cost, changes = sum(each.replica_seconds for each in found), sum(each.scale_changes for each in found)
    return f"| `{setting}` | {oldest:.0f} | {over_a_minute:,} | {cost:,} | {changes} |"


def rows() -> Iterator[str]:
    with ProcessPoolExecutor(2) as pool:
        yield from pool.map(row, SETTINGS)


if __name__ == "__main__":
    for line in rows():
        print(line, flush=True)
