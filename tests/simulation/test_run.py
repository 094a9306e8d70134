"""A run: who looks when, and what is written down."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from time import process_time

import numpy as np

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Replicas, Sample, Unknown
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.plant import PlantSpec
from kafka_consumer_scaler.simulation.run import Record, run
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.workload import workload

ROOT = Path(__file__).parents[2]


@dataclass
class Script:
    """Answers by the clock, and keeps what it saw."""

    answers: dict[float, int]
    interval_seconds: float = 15.0
    name: str = "script"
    seen: list[Observation] = field(default_factory=list)

    def look(self, observation: Observation) -> int | None:
        self.seen.append(observation)
        return self.answers.get(observation.at)


def test_the_policy_looks_at_multiples_of_its_interval() -> None:
    script = Script({}, interval_seconds=20)
    run(PlantSpec(), [10.0] * 70, script, 1)
    assert [observation.at for observation in script.seen] == [20, 40, 60]


def test_a_policy_faster_than_a_second_looks_every_second() -> None:
    script = Script({}, interval_seconds=0.5)
    run(PlantSpec(), [10.0] * 5, script, 1)
    assert [observation.at for observation in script.seen] == [1, 2, 3, 4, 5]


def test_replicas_change_with_the_second_after_the_look() -> None:
    record = run(PlantSpec(), [10.0] * 60, Script({15.0: 3, 30.0: 3, 45.0: 1}), 1)
    assert record.scales == ((15.0, 1, 3), (45.0, 3, 1))
    assert record.replicas.tolist() == [1] * 15 + [3] * 30 + [1] * 15
    assert record.ready.tolist() == [1] * 29 + [3] * 15 + [3] + [1] * 15


def test_a_look_that_fails_is_shown_as_one() -> None:
    """A policy is told that its look failed, as the operator is, and of the replicas, which Kubernetes knows."""
    script = Script({})
    run(PlantSpec(poll_gap_chance=0.5), [10.0] * 3000, script, 1)
    failed = [each for each in script.seen if isinstance(each.snapshot.partitions, Unknown)]
    assert len(script.seen) == 200
    assert 70 < len(failed) < 130
    assert {each.replicas for each in failed} == {Replicas(1, 1, start_seconds=15.0)}


def _bytes(record: Record) -> bytes:
    arrays = (record.arrival, record.lag_records, record.lag_seconds, record.replicas, record.ready, record.rebalancing)
    return b"".join(array.tobytes() for array in arrays) + repr((record.records_lost, record.scales)).encode()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    spec = PlantSpec(pod_start_jitter=10, pod_failure_chance=0.2, crashes=((100, 1),), initial_lag=9000)

    def played(seed: int) -> bytes:
        return _bytes(run(spec, [250.0] * 400, Script({30.0: 4, 240.0: 2, 300.0: 6}), seed))

    assert played(1) == played(1)
    assert played(1) != played(2)


def test_no_order_of_hashing_changes_a_run() -> None:
    """Two interpreters that hash strings differently play the operator's policy through the same hour."""
    play = "from tests.simulation.test_run import digest; print(digest())"

    def played(hash_seed: str) -> str:
        path = os.pathsep.join(str(ROOT / folder) for folder in ("operator", "."))
        told = subprocess.run([sys.executable, "-c", play], check=True, capture_output=True, text=True,
                              env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path})
        return told.stdout

    assert len(played("1")) > 60
    assert played("1") == played("2")


def digest() -> str:
    """Of an hour under the operator's policy."""
    load = workload("spike-train", 1)
    spec = replace(load.plant, crashes=((900, 1),), poll_partial_chance=0.05, topics=3, assignor="sticky")
    return sha256(_bytes(run(spec, load.arrival, KafkaConsumerScaler(Policy(max_replicas=12)), 1))).hexdigest()


def test_a_run_without_arrivals_is_empty() -> None:
    record = run(PlantSpec(), [], Script({}), 1)
    assert (len(record.lag_seconds), record.scales) == (0, ())


def test_what_a_run_shows_of_lag_is_the_truth_and_not_the_commits() -> None:
    script = Script({}, interval_seconds=7)
    record = run(PlantSpec(), [60.0] * 60, script, 1)
    assert np.all(record.lag_records == 0)
    samples = [observation.snapshot.complete() for observation in script.seen]
    assert any(reading.end != reading.committed for sample in samples if isinstance(sample, Sample)
               for reading in sample.readings.values())


def test_ten_times_the_partitions_take_less_than_ten_times_the_time() -> None:
    """Twice the processor time, as measured in one run."""
    assert processor_seconds(partitions=100) < 10 * processor_seconds(partitions=10)


def processor_seconds(partitions: int) -> float:
    load = workload("spike-train", 1)
    spec = PlantSpec(partitions=partitions, capacity=12, initial_replicas=10)
    begun = process_time()
    run(spec, load.arrival, KafkaConsumerScaler(Policy(max_replicas=100)), 1)
    return process_time() - begun
