"""What is remembered, and for how long."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.core.memory import PEAKS_KEPT, SCALES_KEPT, Memory, Peak, Scaled, Usual
from kafka_consumer_scaler.core.policy import Policy, ScalingRules

POLICY = Policy(max_replicas=20)


def test_changes_are_kept_for_an_hour_and_twenty_at_most() -> None:
    memory = Memory()
    for number in range(50):
        memory = memory.with_scaled(1, 2, at=number * 60.0)
    assert len(memory.scales) == SCALES_KEPT
    assert len(memory.with_scaled(2, 3, at=100_000.0).scales) == 1


def test_a_change_is_forgotten_when_the_next_comes_an_hour_later() -> None:
    first = Memory().with_scaled(1, 2, at=0.0)
    assert len(first.with_scaled(2, 3, at=3599.0).scales) == 2
    assert first.with_scaled(2, 3, at=3600.0).scales == (Scaled(3600.0, 2, 3),)


def test_the_last_change_is_the_newest_and_there_may_be_none() -> None:
    assert Memory().last_scale is None
    assert Memory().with_scaled(1, 2, at=1.0).with_scaled(2, 5, at=9.0).last_scale == Scaled(9.0, 2, 5)


def test_a_scale_down_that_was_taken_back_in_time_is_regretted_while_it_is_kept() -> None:
    memory = Memory().with_scaled(6, 4, at=1000.0).with_scaled(4, 12, at=1030.0)
    assert [scale.after for scale in memory.regretted(1100.0, within=30, kept=100)] == [4]
    assert memory.regretted(1100.0, within=29, kept=100) == ()
    assert memory.regretted(1101.0, within=30, kept=100) == ()


def test_only_a_down_followed_by_an_up_is_a_regret() -> None:
    up_down = Memory().with_scaled(4, 6, at=0.0).with_scaled(6, 4, at=10.0)
    down_down = Memory().with_scaled(6, 4, at=0.0).with_scaled(4, 2, at=10.0)
    up_up = Memory().with_scaled(4, 6, at=0.0).with_scaled(6, 8, at=10.0)
    assert [each.regretted(20.0, 100, 100) for each in (up_down, down_down, up_up)] == [(), (), ()]


def test_each_regret_doubles_the_scale_down_window_up_to_an_hour() -> None:
    memory, windows = Memory(), []
    for number in range(5):
        windows.append(memory.scale_down_window_seconds(POLICY, now=number * 310.0))
        memory = memory.with_scaled(6, 4, at=number * 310.0).with_scaled(4, 6, at=number * 310.0 + 60)
    assert windows == [300, 600, 1200, 2400, 3600]
    assert memory.scale_down_window_seconds(POLICY, now=4 * 310.0 + 1801) == 300


def test_a_regret_that_came_after_five_minutes_doubles_nothing() -> None:
    def window(after: float) -> int:
        memory = Memory().with_scaled(6, 4, at=0.0).with_scaled(4, 6, at=after)
        return memory.scale_down_window_seconds(POLICY, now=after)

    assert (window(300.0), window(301.0)) == (600, 300)


def test_a_window_that_the_user_set_longer_than_an_hour_is_kept_and_not_doubled() -> None:
    long = Policy(max_replicas=20, scale_down=ScalingRules(7200, 0))
    memory = Memory().with_scaled(6, 4, at=0.0).with_scaled(4, 6, at=60.0)
    assert memory.scale_down_window_seconds(long, now=100.0) == 7200


def test_the_peak_is_the_highest_arrival_of_the_scale_down_window() -> None:
    memory = Memory().with_arrival(500.0, POLICY, at=0.0).with_arrival(200.0, POLICY, at=100.0)
    assert memory.peak_arrival(POLICY, now=300.0) == 500.0
    assert memory.peak_arrival(POLICY, now=301.0) == 200.0
    assert memory.peak_arrival(POLICY, now=401.0) == 0.0


def test_a_higher_arrival_hides_the_lower_ones_before_it() -> None:
    memory = Memory().with_arrival(200.0, POLICY, at=0.0).with_arrival(200.0, POLICY, at=5.0)
    assert memory.peaks == (Peak(5.0, 200.0),)
    assert memory.with_arrival(201.0, POLICY, at=6.0).peaks == (Peak(6.0, 201.0),)
    assert memory.with_arrival(199.0, POLICY, at=10.0).peaks == (Peak(5.0, 200.0), Peak(10.0, 199.0))


def test_beyond_sixty_the_two_closest_peaks_become_one_the_higher_at_the_later_time() -> None:
    memory = Memory()
    for number in range(PEAKS_KEPT):
        memory = memory.with_arrival(1000.0 - number, POLICY, at=4.0 * number)
    assert len(memory.peaks) == PEAKS_KEPT
    later = memory.with_arrival(900.0, POLICY, at=4.0 * (PEAKS_KEPT - 1) + 1.0)
    assert len(later.peaks) == PEAKS_KEPT
    assert later.peaks[-2:] == (Peak(232.0, 942.0), Peak(237.0, 941.0)), "236 s and 237 s were the closest"


def test_peaks_are_bounded() -> None:
    memory = Memory()
    for number in range(200):
        memory = memory.with_arrival(1000.0 - number, POLICY, at=7.0 * number)
    assert len(memory.peaks) <= PEAKS_KEPT


@given(st.lists(st.tuples(st.floats(1, 60), st.floats(0, 1000)), min_size=1, max_size=50), st.integers(1, 600))
def test_the_peaks_know_what_a_twin_that_keeps_everything_knows(row: list[tuple[float, float]], window: int) -> None:
    policy = Policy(max_replicas=20, scale_down=ScalingRules(window, 0))
    memory, everything, at = Memory(), list[tuple[float, float]](), 0.0
    for step, arrival in row:
        at += step
        everything.append((at, arrival))
        memory = memory.with_arrival(arrival, policy, at)
        found, since = memory.peak_arrival(policy, at), at - window
        assert found >= max(rate for t, rate in everything if t >= since)
        assert found <= max(rate for t, rate in everything if t >= since - window / PEAKS_KEPT)


def test_after_a_regret_peaks_and_recommendations_are_kept_for_the_longer_window() -> None:
    regretful = Memory().with_scaled(6, 4, at=0.0).with_scaled(4, 6, at=60.0)
    peaks = regretful.with_arrival(500.0, POLICY, at=0.0).with_arrival(200.0, POLICY, at=500.0)
    assert peaks.peak_arrival(POLICY, now=600.0) == 500.0
    assert peaks.peak_arrival(POLICY, now=601.0) == 200.0
    highs = regretful.with_recommended(9, POLICY, at=0.0).with_recommended(3, POLICY, at=600.0).highs
    assert [high.replicas for high in highs] == [9, 3]


def test_a_peak_counts_to_the_very_end_of_the_window() -> None:
    memory = Memory().with_arrival(500.0, POLICY, at=0.0).with_arrival(200.0, POLICY, at=300.0)
    assert memory.peak_arrival(POLICY, now=300.0) == 500.0


def test_the_least_recommended_has_one_entry_for_each_level() -> None:
    policy, memory = Policy(max_replicas=20, scale_up=ScalingRules(600, 0)), Memory()
    for at, replicas in enumerate((4, 2, 2, 5, 5, 3, 3)):
        memory = memory.with_recommended(replicas, policy, at=float(at))
    assert [low.replicas for low in memory.lows] == [2, 3]


@pytest.mark.parametrize(("looks", "expected"), [
    ([(15, 100.0, 60.0)], (15.0, 100.0, 60.0)),
    ([(15, 100.0, None)], (15.0, 100.0, None)),
    ([(15, 100.0, 60.0), (30, 200.0, 100.0)], (30.0, 150.0, 100.0)),  # a plain mean at first
    ([(15, 100.0, 100.0), (30, 100.0, 40.0)], (30.0, 100.0, 70.0)),
    ([(15, 100.0, 100.0), (600, 200.0, None)], (75.0, 180.0, 100.0)),  # a look speaks for a minute
    ([(15, 100.0, 100.0), (10, 200.0, None)], (15.0, 100.0, 100.0)),  # not when the clock goes back
])
def test_what_is_usual_is_a_mean_that_forgets(
    looks: list[tuple[float, float, float | None]], expected: tuple[float, float, float | None]
) -> None:
    usual = Usual(0.0, 0.0, 0.0)
    for at, arrival, per_consumer in looks:
        usual = usual.with_look(at, arrival, per_consumer)
    assert (usual.seconds, usual.arrival, usual.per_consumer) == pytest.approx(expected)


def test_what_is_usual_forgets_over_half_an_hour() -> None:
    assert Usual(0.0, 1785.0, 100.0).with_look(15.0, 220.0, None) == Usual(15.0, 1800.0, 101.0)


def limited(hour: int | None, day: int | None) -> Policy:
    rules = ScalingRules(0, 0, max_changes_per_hour=hour, max_changes_per_day=day)
    return Policy(max_replicas=100, scale_up=rules, scale_down=rules)


def stepping(replicas: list[int], every: float, policy: Policy) -> Memory:
    """A memory that is brought up to date after each change, as by a decision."""
    memory = Memory()
    for number, (before, after) in enumerate(pairwise(replicas)):
        memory = memory.with_scaled(before, after, at=every * number).with_counted(policy, every * number)
    return memory


def test_changes_are_counted_by_direction() -> None:
    memory = stepping([1, 3, 2, 4, 1], 60.0, limited(5, None))
    assert (memory.ups, memory.downs) == ((0.0, 120.0), (60.0, 180.0))


def test_without_a_limit_no_times_are_kept() -> None:
    memory = stepping([1, 3, 2, 4, 1], 60.0, limited(5, None)).with_counted(limited(None, None), 200.0)
    assert (memory.ups, memory.downs) == ((), ())


@pytest.mark.parametrize(("policy", "kept"), [
    (limited(3, None), (5400.0, 6000.0, 6600.0)),
    (limited(30, None), tuple(600.0 * number for number in range(6, 12))),
    (limited(3, 8), tuple(600.0 * number for number in range(4, 12))),
    (limited(None, 30), tuple(600.0 * number for number in range(12))),
])
def test_no_more_times_are_kept_than_the_largest_limit_counts(policy: Policy, kept: tuple[float, ...]) -> None:
    assert stepping(list(range(1, 14)), 600.0, policy).ups == kept


def test_a_time_is_kept_until_its_period_is_over() -> None:
    memory = stepping([1, 2], 1.0, limited(None, 4))
    assert memory.with_counted(limited(None, 4), 86_399.0).ups == (0.0,)
    assert memory.with_counted(limited(None, 4), 86_400.0).ups == ()


def test_a_limit_that_is_new_counts_the_changes_of_the_last_hour() -> None:
    memory = stepping([5, 4, 3], 60.0, limited(None, None))
    assert memory.with_counted(limited(4, None), 120.0).downs == (0.0, 60.0)


def test_counting_again_changes_nothing() -> None:
    memory = stepping([5, 4, 3, 4], 60.0, limited(2, 4))
    assert memory.with_counted(limited(2, 4), 180.0) == memory
