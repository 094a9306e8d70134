"""A score against a record counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kafka_consumer_scaler.simulation.run import Record
from kafka_consumer_scaler.simulation.score import Score, score


def record(scales: tuple[tuple[float, int, int], ...] = ()) -> Record:
    return Record(
        arrival=np.full(5, 100.0),
        lag_records=np.array([0.0, 100.0, 250.5, 100.0, 0.0]),
        lag_seconds=np.array([0.0, 30.0, 61.5, 60.0, 0.0]),
        replicas=np.array([1, 1, 4, 4, 2]),
        ready=np.array([1, 1, 1, 4, 2]),
        rebalancing=np.array([0.0, 0.0, 0.75, 0.75, 1.0]),
        records_lost=12.0,
        scales=scales,
    )


def test_the_eight_numbers_of_a_small_record() -> None:
    assert score(record(((2.0, 1, 4), (4.0, 4, 2))), objective_seconds=60) == Score(
        lag_seconds_max=61.5, seconds_over_objective=1, lag_record_seconds=450.5, replica_seconds=12, scale_changes=2,
        direction_reversals=1, rebalance_seconds=2.5, records_lost=12.0)


def test_json_has_exactly_the_eight_keys() -> None:
    assert list(score(record(), 60).as_json()) == [
        "lag_seconds_max", "seconds_over_objective", "lag_record_seconds", "replica_seconds", "scale_changes",
        "direction_reversals", "rebalance_seconds", "records_lost"]


@pytest.mark.parametrize(("scales", "reversals"), [
    ((), 0),
    (((0.0, 1, 4), (100.0, 4, 6)), 0),
    (((0.0, 1, 4), (300.0, 4, 2)), 1),
    (((0.0, 1, 4), (301.0, 4, 2)), 0),
    (((0.0, 1, 4), (100.0, 4, 2), (200.0, 2, 5), (250.0, 5, 6)), 2),
])
def test_a_reversal_goes_against_the_change_before_within_five_minutes(
        scales: tuple[tuple[float, int, int], ...], reversals: int) -> None:
    assert score(record(scales), 60).direction_reversals == reversals


def test_an_empty_record_scores_nothing() -> None:
    none = np.zeros(0)
    empty = Record(none, none, none, none.astype(np.int64), none.astype(np.int64), none, 0.0, ())
    assert score(empty, 60) == Score(0.0, 0, 0.0, 0, 0, 0, 0.0, 0.0)
