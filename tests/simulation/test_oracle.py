"""The plan that knows the future and the bound below it: small cases by hand, then on the plant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from kafka_consumer_scaler.simulation.fixed import Static
from kafka_consumer_scaler.simulation.oracle import bound, oracle
from kafka_consumer_scaler.simulation.run import Record, run
from kafka_consumer_scaler.simulation.score import Score, score
from kafka_consumer_scaler.simulation.spec import PlantSpec

PLANT = PlantSpec()
OBJECTIVE = 60.0


def executed(spec: PlantSpec, arrival: Sequence[float], least: int = 1, most: int = 12) -> tuple[Record, Score]:
    record = run(spec, arrival, oracle(spec, arrival, OBJECTIVE, least, most), seed=1)
    return record, score(record, OBJECTIVE)


STEADY = [300.0] * 1800
STEP = [150.0] * 600 + [550.0] * 900 + [150.0] * 600
RAMP = [100 + 800 * second / 1800 for second in range(1800)]
SINE = [400 + 300 * math.sin(second / 300) for second in range(1800)]
SPIKES = [900.0 if second % 600 < 60 else 120.0 for second in range(1800)]


@pytest.mark.parametrize(("arrival", "least", "most", "replica_seconds"), [
    ([100.0] * 1000, 0, 12, 940),      # all but the last 60 s are due: 94,000 records at 100/s
    ([100.0] * 1000, 1, 12, 1000),     # one replica does it all
    ([300.0] * 1000, 1, 12, 2820),     # 282,000 due; the one that is always there works 1000 s: 1000 + 1820
    ([0.0] * 1000, 2, 12, 2000),
    ([0.0] * 500 + [600.0] * 100 + [0.0] * 400, 0, 12, 600),             # 60,000 records
    ([0.0] * 500 + [600.0] * 100 + [0.0] * 400, 1, 12, 1440),            # 16,000 of them are for the one always there
    # 12 are late from 575 s on: 6000 * 15 = 1200 * 75 records are due in time, 7,500 for the one always there;
    # by 990 s the 600,000 are not done by 12 either, so no more is asked. Ten seconds later they are: all are.
    ([0.0] * 500 + [6000.0] * 100 + [0.0] * 390, 1, 12, 990 + 825),
    ([0.0] * 500 + [6000.0] * 100 + [0.0] * 400, 1, 12, 1000 + 5500),
    ([100.0] * 30, 1, 12, 30),         # nothing is due yet
    ([], 1, 12, 0),
])
def test_the_bound_by_hand(arrival: list[float], least: int, most: int, replica_seconds: float) -> None:
    assert bound(replace(PLANT, pod_start_seconds=0.0), arrival, OBJECTIVE, least, most) == pytest.approx(
        replica_seconds, rel=0.002)


def test_the_bound_counts_the_fastest_that_a_replica_ever_is() -> None:
    """Twice the capacity in the second half halves what is surely needed."""
    arrival = [100.0] * 1000
    faster = replace(PLANT, capacity_changes=((500.0, 2.0),))
    assert bound(faster, arrival, OBJECTIVE, 0, 12) == pytest.approx(bound(PLANT, arrival, OBJECTIVE, 0, 12) / 2)


@pytest.mark.parametrize("arrival", [STEADY, STEP, RAMP, SINE, SPIKES])
@pytest.mark.parametrize("replicas", [2, 3, 4, 6, 9, 12])
def test_no_fixed_number_that_keeps_the_objective_is_below_the_bound(arrival: list[float], replicas: int) -> None:
    spec = replace(PLANT, initial_replicas=replicas)
    scored = score(run(spec, arrival, Static(replicas), seed=1), OBJECTIVE)
    if scored.seconds_over_objective == 0:
        assert scored.replica_seconds >= bound(spec, arrival, OBJECTIVE, 1, 12) - 1


@pytest.mark.parametrize("arrival", [STEADY, STEP, RAMP, SINE, SPIKES], ids=["level", "step", "ramp", "sine", "spikes"])
def test_the_plan_keeps_the_objective_and_comes_near_the_bound(arrival: list[float]) -> None:
    _, scored = executed(PLANT, arrival)
    least = bound(PLANT, arrival, OBJECTIVE, 1, 12)
    assert scored.seconds_over_objective == 0
    assert least <= scored.replica_seconds <= 1.15 * least


def test_a_steady_load_of_three_consumers_takes_three() -> None:
    """But at the end, where what arrives is no longer due."""
    record, _ = executed(replace(PLANT, initial_replicas=3), STEADY)
    assert set(record.replicas[60:1600]) == {3}


def test_pods_are_asked_for_before_they_are_needed() -> None:
    """A step from 150/s to 1200/s leaves 12 replicas 60 s, whatever was done before; they are asked for in time."""
    arrival = [150.0] * 600 + [1190.0] * 600
    record, scored = executed(replace(PLANT, pod_start_seconds=90.0), arrival)
    assert scored.seconds_over_objective == 0
    assert np.argmax(record.replicas == 12) < 600


@pytest.mark.parametrize("spec", [
    replace(PLANT, initial_lag=100_000), replace(PLANT, downstream_limit=400.0), PLANT,
], ids=["replay", "downstream", "more than the most"])
def test_where_the_objective_cannot_be_kept_the_plan_is_late_no_longer_than_the_most_replicas(spec: PlantSpec) -> None:
    arrival = [150.0] * 300 + [1500.0 if spec is PLANT else 500.0] * 300 + [150.0] * 1500
    _, planned = executed(spec, arrival)
    most = score(run(replace(spec, initial_replicas=12), arrival, Static(12), seed=1), OBJECTIVE)
    assert most.seconds_over_objective > 0
    assert planned.seconds_over_objective <= most.seconds_over_objective + 30, "a pod's start and a rebalance"
    assert planned.replica_seconds < most.replica_seconds / 2


@pytest.mark.parametrize("spec", [
    replace(PLANT, outages=((1000.0, 40.0),)), replace(PLANT, drift_per_hour=-0.3), replace(PLANT, threads=3),
    replace(PLANT, pod_start_seconds=30.0, pod_start_jitter=10.0), replace(PLANT, partitions=10),
    replace(PLANT, weights=tuple(float(weight) for weight in range(3, 15))), replace(PLANT, assignor="range"),
    replace(PLANT, slow_members=1, slow_factor=0.6), replace(PLANT, crashes=((1200.0, 1),)),
], ids=["outage", "drift", "threads", "slow pods", "ten partitions", "skewed", "eager", "slow member", "crash"])
def test_it_plans_for_what_goes_wrong(spec: PlantSpec) -> None:
    _, scored = executed(spec, STEP)
    assert scored.seconds_over_objective == 0


def test_it_goes_to_zero_and_comes_back() -> None:
    arrival = [200.0] * 300 + [0.0] * 900 + [200.0] * 600
    record, scored = executed(PLANT, arrival, least=0)
    assert set(record.replicas[500:1100]) == {0}
    assert scored.seconds_over_objective == 0


def test_only_useful_numbers_of_replicas_are_planned() -> None:
    plan = oracle(PLANT, RAMP, OBJECTIVE, 1, 12)
    assert set(plan.plan) <= {1, 2, 3, 4, 6, 12}


@pytest.mark.parametrize("arrival", [[], [50.0], [50.0] * 7])
def test_a_short_run_is_planned_too(arrival: list[float]) -> None:
    assert set(oracle(PLANT, arrival, OBJECTIVE, 1, 12).plan) == {1}
