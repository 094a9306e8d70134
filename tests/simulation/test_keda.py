"""KEDA's Kafka trigger and operator against hand-computed figures."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kafka_consumer_scaler.core.policy import OffsetReset
from kafka_consumer_scaler.core.snapshot import Reading, Replicas, Snapshot, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.simulation.hpa import recommend
from kafka_consumer_scaler.simulation.keda import Keda, Metric, Trigger, metric
from kafka_consumer_scaler.simulation.run import run
from kafka_consumer_scaler.simulation.scaler import Observation
from kafka_consumer_scaler.simulation.spec import PlantSpec

END = 1000
BLIND = Unknown("no broker")


def readings(lags: Sequence[int | None]) -> dict[TopicPartition, Reading]:
    """One partition for each lag; None is uncommitted."""
    return {TopicPartition("orders", number): Reading(END, Uncommitted() if lag is None else END - lag, start=900)
            for number, lag in enumerate(lags)}


def even(lag: int, partitions: int) -> list[int | None]:
    """The lag spread over the partitions."""
    return [lag // partitions + (number < lag % partitions) for number in range(partitions)]


def looked(at: float, lags: Sequence[int | None] | Unknown, replicas: int) -> Observation:
    seen = lags if isinstance(lags, Unknown) else readings(lags)
    return Observation(at, Snapshot(at, seen), Replicas(replicas, replicas), replicas)


FIVE = Trigger(lag_threshold=5)
EVEN = Trigger(lag_threshold=5, ensure_even_distribution=True)
LAGGING = Trigger(lag_threshold=5, limit_to_partitions_with_lag=True)
IDLE = Trigger(lag_threshold=5, allow_idle_consumers=True)


@pytest.mark.parametrize(("trigger", "lags", "lag", "replicas"), [
    (FIVE, even(24, 5), 24, 5),          # under the limit
    (FIVE, even(25, 5), 25, 5),
    (FIVE, even(29, 5), 29, 6),          # 29 // 5 = 5 is not over 5 partitions, so the limit does not hold: one idles
    (FIVE, even(30, 5), 25, 5),          # 30 // 5 = 6 is
    (IDLE, even(60, 5), 60, 12),         # no limit
    (EVEN, even(29, 5), 25, 5),          # divisors of 5: 1, 5; neither is enough, so 5
    (EVEN, even(6, 5), 25, 5),           # 1 * 5 < 6, so 5
    (EVEN, even(5, 5), 5, 1),
    (EVEN, even(0, 5), 5, 1),            # even no lag is one replica's worth
    (EVEN, even(21, 12), 30, 6),         # divisors of 12: 4 * 5 < 21 <= 6 * 5
    (EVEN, even(31, 12), 60, 12),        # 6 * 5 < 31
    (LAGGING, [40, 0, 0, 0, 0], 5, 1),   # one partition lags: one replica
    (LAGGING, [40, 3, 0, 0, 0], 10, 2),
    (LAGGING, [9, 0, 0, 0, 0], 9, 2),    # 9 // 5 = 1 is not over 1: the same slip
    (FIVE, [None] * 5, 5, 1),            # uncommitted under latest: 1 each
    (FIVE, [None, 4, 0, 0, 0], 5, 1),
    (FIVE, [-3, 8, 0, 0, 0], 5, 1),      # a committed offset beyond the end counts against the others
    (Trigger(lag_threshold=5, scale_to_zero_on_invalid_offset=True), [None] * 5, 0, 0),
    (Trigger(lag_threshold=500, offset_reset=OffsetReset.EARLIEST), [None, 0], 1000, 2),   # the whole end offset
    (Trigger(500, offset_reset=OffsetReset.EARLIEST, scale_to_zero_on_invalid_offset=True), [None, 0], 0, 0),
])
def test_the_lag_that_the_hpa_sees(trigger: Trigger, lags: list[int | None], lag: int, replicas: int) -> None:
    assert metric(trigger, readings(lags)).lag == lag
    assert recommend(lag, trigger.lag_threshold, existing=50) == replicas


@pytest.mark.parametrize(("replicas", "after"), [(20, 24), (21, 24), (22, 22), (23, 23), (24, 24)])
def test_a_limited_lag_never_leaves_22_or_23_of_24_partitions(replicas: int, after: int) -> None:
    limited = metric(Trigger(10), readings(even(100_000, 24))).lag
    assert limited == 240
    assert recommend(limited, 10, replicas) == after


@pytest.mark.parametrize(("activation", "lags", "is_active"), [
    (0, [0, 0], False), (0, [1, 0], True), (0, [None, 0], True), (10, [10, 0], False), (10, [10, 1], True),
])
def test_a_trigger_is_active_above_its_activation_lag(activation: int, lags: list[int | None], is_active: bool) -> None:
    assert metric(Trigger(activation_lag_threshold=activation), readings(lags)).is_active is is_active


def test_a_partition_whose_offset_stands_still_is_left_out_of_the_lag_but_keeps_the_trigger_active() -> None:
    trigger = Trigger(exclude_persistent_lag=True)
    stuck = {TopicPartition("orders", 0): END - 70}
    assert metric(trigger, readings([70, 20]), stuck) == Metric(lag=20, is_active=True)
    assert metric(trigger, readings([70, 0]), stuck) == Metric(lag=0, is_active=True)
    assert metric(Trigger(), readings([70, 0]), stuck).lag == 20, "2 partitions of 10; it is off by default"


@pytest.mark.parametrize("values", [
    {"lag_threshold": 0}, {"activation_lag_threshold": -1},
    {"limit_to_partitions_with_lag": True, "allow_idle_consumers": True},
    {"limit_to_partitions_with_lag": True, "ensure_even_distribution": True},
])
def test_what_keda_refuses_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="lag"):
        Trigger(**values)  # type: ignore[arg-type]


def test_from_zero_the_operator_goes_to_one_and_the_hpa_goes_on() -> None:
    keda = Keda(10, min_replicas=0, max_replicas=12)
    assert [keda.look(looked(at, [60, 60], replicas)) for at, replicas in ((0, 0), (15, 1))] == [1, 2]


def test_from_zero_the_operator_goes_to_the_minimum() -> None:
    assert Keda(10, min_replicas=3).look(looked(0, [60, 60], 0)) == 3


def test_at_zero_nothing_happens_between_two_polls() -> None:
    keda = Keda(10, min_replicas=0)
    assert keda.look(looked(0, [0, 0], 0)) is None
    assert keda.look(looked(15, [60, 60], 0)) is None
    assert keda.look(looked(30, [60, 60], 0)) == 1


def test_to_zero_it_goes_after_a_cooldown_without_lag() -> None:
    """Active at 0 s, polls every 30 s; 300 s must be exceeded, which is so at 330 s."""
    keda = Keda(10, min_replicas=0)
    keda.look(looked(0, [5, 0], 1))
    answers = {at: keda.look(looked(at, [0, 0], 1)) for at in range(15, 346, 15)}
    assert [at for at, answer in answers.items() if answer == 0] == [330]


def test_a_target_that_never_was_active_goes_to_zero_at_the_first_poll() -> None:
    assert Keda(10, min_replicas=0).look(looked(0, [0, 0], 1)) == 0


def test_with_a_minimum_it_never_goes_to_zero() -> None:
    keda = Keda(10, min_replicas=1)
    assert all(keda.look(looked(at, [0, 0], 1)) is None for at in range(0, 1000, 15))


@pytest.mark.parametrize("missing", [BLIND, "one partition"])
def test_an_incomplete_snapshot_changes_nothing(missing: Unknown | str) -> None:
    keda = Keda(10, min_replicas=0, max_replicas=12)
    keda.look(looked(0, [40, 0], 4))
    seen: dict[TopicPartition, Reading | Unknown] = {**readings([900, 900]), TopicPartition("orders", 1): BLIND}
    for at in range(15, 700, 15):
        snapshot = Snapshot(at, missing if isinstance(missing, Unknown) else seen)
        assert keda.look(Observation(at, snapshot, Replicas(4, 4), 4)) is None


def test_at_its_default_threshold_a_steady_load_ends_at_all_partitions() -> None:
    """Commits every 5 s alone leave a lag of hundreds at 300/s: 12 replicas where 3 would do."""
    record = run(PlantSpec(initial_replicas=4), [300.0] * 900, Keda(min_replicas=1, max_replicas=12), seed=1)
    assert record.replicas[-1] == 12


def test_the_same_run_gives_the_same_scales() -> None:
    arrival = [100.0] * 200 + [600.0] * 400 + [50.0] * 600
    first, second = (run(PlantSpec(), arrival, Keda(1000, 1, 12), seed=3).scales for _ in range(2))
    assert first == second
    assert first
