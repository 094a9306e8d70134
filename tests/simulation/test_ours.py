"""The operator's policy in the simulator: decide() is driven as the operator drives it."""

from __future__ import annotations

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.verdict import ScaleTo
from kafka_consumer_scaler.simulation.ours import T0, KafkaConsumerScaler
from kafka_consumer_scaler.simulation.plant import PlantSpec
from kafka_consumer_scaler.simulation.run import run

STEP = [100.0] * 300 + [500.0] * 600


def test_it_follows_a_step_and_keeps_a_verdict_of_every_look() -> None:
    ours = KafkaConsumerScaler(Policy(max_replicas=12, polling_interval_seconds=20))
    record = run(PlantSpec(), STEP, ours, 1)
    assert [at for at, _ in ours.verdicts] == list(range(20, 901, 20))
    assert record.replicas[-1] >= 5
    decided = [(at, each.decision.replicas) for at, each in ours.verdicts if isinstance(each.decision, ScaleTo)]
    assert decided == [(at, after) for at, _, after in record.scales]


def test_what_was_carried_out_is_remembered() -> None:
    ours = KafkaConsumerScaler(Policy(max_replicas=12))
    record = run(PlantSpec(), STEP, ours, 1)
    scales = ours.verdicts[-1][1].memory.scales
    assert record.scales
    assert [(round(scale.at - T0 - 0.25, 3), scale.before, scale.after) for scale in scales] == list(record.scales)


def test_its_first_verdict_is_the_one_of_decide() -> None:
    class Twin(KafkaConsumerScaler):
        def look(self, observation):  # type: ignore[no-untyped-def]
            if not self.verdicts:
                snapshot = observation.snapshot
                moved = type(snapshot)(T0 + observation.at, snapshot.partitions, snapshot.group)
                self.first = decide(self.policy, History().append(moved), observation.replicas, Memory(),
                                    T0 + observation.at + 0.2)
            return super().look(observation)

    twin = Twin(Policy(max_replicas=12))
    run(PlantSpec(), STEP[:60], twin, 1)
    assert twin.verdicts[0][1] == twin.first


def test_an_advisory_policy_changes_nothing() -> None:
    record = run(PlantSpec(), STEP, KafkaConsumerScaler(Policy(max_replicas=12, mode=Mode.ADVISORY)), 1)
    assert record.scales == ()


def test_gaps_and_partial_looks_never_scale_down() -> None:
    spec = PlantSpec(initial_replicas=6, poll_partial_chance=0.99)
    record = run(spec, [50.0] * 900, KafkaConsumerScaler(Policy(max_replicas=12)), 1)
    assert all(after > before for _, before, after in record.scales)
