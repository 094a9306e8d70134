"""From samples to what is shown, on numbers that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.demo.timeline import (
    UNSEEN,
    Change,
    Row,
    Sample,
    changes,
    first_scale_up,
    replica_seconds,
    reversals,
    row,
    seconds_over,
)

UP = "Scaled up from 1 to 4: lag 1,600 records"
CALM = Row(0.0, 70.0, 70.0, 100, 1.0, 1, 1, "")


def sample(seconds: float, ends: tuple[int, ...], committed: tuple[int, ...], decision: str = "") -> Sample:
    return Sample(seconds, ends, committed, replicas_spec=1, replicas_ready=1, decision=decision)


def rows_of(*values: tuple[float, int, int]) -> list[Row]:
    """Rows from seconds, lag and replicas."""
    return [replace(CALM, seconds=at, lag=lag, replicas_spec=replicas) for at, lag, replicas in values]


def test_the_lag_is_summed_over_partitions_and_a_commit_ahead_of_the_end_does_not_lower_it() -> None:
    assert sample(0, (10, 5), (4, 7)).lag == 6


def test_a_single_sample_makes_a_row_without_rates() -> None:
    assert row([sample(1.0, (10, 20), (10, 20))]) == Row(1.0, 0.0, 0.0, 0, 0.0, 1, 1, "")


def test_arrival_is_a_rate_of_the_last_seconds_and_drain_of_two_commit_intervals() -> None:
    samples = [sample(at, (100 * at,), (20 * at,)) for at in range(0, 12)]
    samples += [sample(at, (1100 + 500 * (at - 11),), (20 * at,)) for at in range(12, 16)]
    found = row(samples)
    assert found.arrival == pytest.approx(500.0)
    assert found.drain == pytest.approx(20.0)


def test_the_age_is_that_of_the_oldest_unprocessed_record_interpolated_between_two_samples() -> None:
    samples = [sample(4.0, (10, 0), (10, 0)), sample(4.5, (20, 0), (10, 0)), sample(6.0, (30, 8), (15, 8))]
    assert row(samples).lag_seconds == pytest.approx(6.0 - 4.25, abs=0.06)


def test_a_group_without_lag_has_no_age() -> None:
    assert row([sample(0.0, (0,), (0,)), sample(1.0, (70,), (70,))]).lag_seconds == 0.0


def test_a_record_from_before_the_first_sample_is_as_old_as_that_sample() -> None:
    assert row([sample(2.0, (50,), (10,)), sample(5.0, (50,), (10,))]).lag_seconds == 3.0


def test_a_decision_stands_in_the_row_in_which_it_is_new() -> None:
    first, second = sample(0.0, (1,), (1,), UP), sample(0.5, (1,), (1,), UP)
    assert row([first]).decision == UP
    assert row([first, second]).decision == ""


def test_a_change_is_given_the_sentence_that_follows_it_in_the_status() -> None:
    rows = [*rows_of((10.0, 1600, 1), (10.5, 1700, 4)), replace(CALM, seconds=11.0, replicas_spec=4, decision=UP)]
    assert changes(rows) == [Change(10.5, 1, 4, UP)]


def test_a_change_without_a_sentence_is_shown_as_such() -> None:
    assert changes(rows_of((1.0, 0, 3), (2.0, 0, 2))) == [Change(2.0, 3, 2, UNSEEN)]


def test_reversals_are_the_changes_against_the_one_before() -> None:
    steps = [Change(at, before, after, "") for at, (before, after) in enumerate([(1, 4), (4, 6), (6, 3), (3, 5)])]
    assert reversals(steps) == 2
    assert reversals(steps[:1]) == 0


def test_replica_seconds_are_replicas_asked_for_times_time() -> None:
    assert replica_seconds(rows_of((0.0, 0, 1), (10.0, 0, 4), (25.0, 0, 2))) == 10 * 1 + 15 * 4


def test_the_first_scale_up_is_told_by_the_row_before_more_replicas() -> None:
    rows = rows_of((1.0, 500, 2), (2.0, 551, 1), (3.0, 900, 1), (5.0, 1500, 4), (6.0, 1600, 6))
    assert first_scale_up(rows) == rows[2]


@pytest.mark.parametrize("rows", [rows_of((1.0, 900, 1), (2.0, 900, 1)), rows_of((1.0, 100, 2), (2.0, 100, 1)), []])
def test_without_more_replicas_there_is_no_scale_up(rows: list[Row]) -> None:
    assert first_scale_up(rows) is None


def test_seconds_over_the_objective_are_those_that_end_above_it() -> None:
    ages = {0.0: 50.0, 2.0: 61.0, 5.0: 60.0, 6.0: 60.5}
    assert seconds_over([replace(CALM, seconds=at, lag_seconds=age) for at, age in ages.items()], 60) == 3.0
