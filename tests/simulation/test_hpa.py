"""The HorizontalPodAutoscaler against hand-computed syncs, 15 s apart."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kafka_consumer_scaler.core.policy import SelectPolicy, StepPolicy, StepUnit
from kafka_consumer_scaler.simulation.hpa import DEFAULT_BEHAVIOR, Behavior, Hpa, Rules, recommend

PODS_2 = StepPolicy(StepUnit.PODS, 2, 60)
PERCENT_50 = StepPolicy(StepUnit.PERCENT, 50, 60)


@pytest.mark.parametrize(("usage", "existing", "replicas"), [
    (100, 10, 10),   # ratio 1.0
    (110, 10, 10),   # 1.1 is still within the tolerance
    (111, 10, 12),   # 1.11 is not: ceil(111 / 10)
    (90, 10, 10),    # 0.9 is still within
    (89, 10, 9),     # 0.89 is not
    (81, 10, 9),     # ceil(8.1)
    (80, 10, 8),     # a whole number is not raised
    (11, 1, 1),      # 1.1 at one replica
    (12, 1, 2),      # 1.2
    (0, 3, 0),       # nothing to do; minReplicas comes later
    (25, 0, 3),      # no pod exists yet: no ratio, so the plain quotient
    (240, 22, 22),   # a lag cut to 24 partitions of 10 leaves 22 replicas where they are
    (240, 21, 24),   # and moves 21
])
def test_the_recommendation_is_the_quotient_outside_of_the_tolerance(usage: int, existing: int, replicas: int) -> None:
    assert recommend(usage, 10, existing) == replicas


def syncs(hpa: Hpa, usages: Sequence[float | None], start: int) -> list[int]:
    """Replicas after each sync, 15 s apart; pods exist at once."""
    replicas, seen = start, []
    for number, usage in enumerate(usages):
        replicas = hpa.sync(15.0 * number, usage, replicas, replicas) or replicas
        seen.append(replicas)
    return seen


def test_scale_up_adds_four_pods_or_doubles_in_each_period() -> None:
    """1 + 4 = 5, twice 5 = 10, twice 10 = 20, then the 30 wanted."""
    assert syncs(Hpa(10, 1, 100), [300] * 4, start=1) == [5, 10, 20, 30]


def test_without_a_behavior_a_sync_doubles_and_at_least_goes_to_four() -> None:
    assert syncs(Hpa(10, 1, 100, behavior=None), [300] * 5, start=1) == [4, 8, 16, 30, 30]


def test_scale_up_stops_at_max_replicas() -> None:
    assert syncs(Hpa(10, 1, 7), [300] * 2, start=3) == [7, 7]


@pytest.mark.parametrize("behavior", [DEFAULT_BEHAVIOR, None])
def test_scale_down_waits_until_the_highest_recommendation_is_300_s_old(behavior: Behavior | None) -> None:
    """5 wanted at 0 s and 2 from 15 s on: 5 holds up to 285 s, 2 comes at 300 s (the first sync where 5 is too old)."""
    seen = syncs(Hpa(10, 1, 100, behavior), [50] + [20] * 21, start=5)
    assert seen[:20] == [5] * 20
    assert seen[20] == 2


def test_a_peak_within_the_window_holds_scale_down_at_its_height_and_no_higher() -> None:
    """10 at first, 6 wanted at 150 s, else 2: down to 6 once the 10 is too old, to 2 once the 6 is."""
    usages = [100.0] + [20.0] * 9 + [60.0] + [20.0] * 25
    seen = syncs(Hpa(10, 1, 100), usages, start=10)
    assert [seen[index] for index in (19, 20, 29, 30)] == [10, 6, 6, 2]


def test_the_replicas_at_the_first_sync_count_as_a_recommendation() -> None:
    assert syncs(Hpa(10, 1, 100), [20] * 21, start=8)[19:] == [8, 2]


def test_scale_down_stops_at_min_replicas() -> None:
    assert syncs(Hpa(10, 3, 100), [0] * 21, start=4)[-1] == 3


def test_an_up_window_takes_the_least_recommendation_of_it() -> None:
    """A window of 60 s: 8 is reached when the 2 of the first sync is too old."""
    hpa = Hpa(10, 1, 100, Behavior(up=Rules(60.0, DEFAULT_BEHAVIOR.up.policies)))
    assert syncs(hpa, [20, 80, 80, 80, 80], start=2) == [2, 2, 2, 2, 6]


@pytest.mark.parametrize(("select", "reached"), [
    (SelectPolicy.MAX, [6, 6, 6, 6, 9]), (SelectPolicy.MIN, [6, 6, 6, 6, 8]), (SelectPolicy.DISABLED, [4] * 5),
])
def test_policies_count_from_the_replicas_at_the_start_of_their_period(
        select: SelectPolicy, reached: list[int]) -> None:
    """4 up by 2 pods or 50% in 60 s: 6 for both; a period later 8 or 9."""
    hpa = Hpa(10, 1, 100, Behavior(up=Rules(0.0, (PODS_2, PERCENT_50), select)))
    assert syncs(hpa, [200] * 5, start=4) == reached


@pytest.mark.parametrize(("select", "reached"), [(SelectPolicy.MAX, 5), (SelectPolicy.MIN, 8)])
def test_policies_of_scale_down_round_down(select: SelectPolicy, reached: int) -> None:
    """10 down by 2 pods or 50%: 8 or 5."""
    hpa = Hpa(10, 1, 100, Behavior(down=Rules(0.0, (PODS_2, PERCENT_50), select)))
    assert syncs(hpa, [10], start=10) == [reached]


def test_nothing_is_done_at_zero_replicas() -> None:
    assert Hpa(10, 1, 100).sync(0.0, 500, 0, 0) is None


def test_a_metric_that_failed_changes_nothing_and_is_no_recommendation() -> None:
    """20 syncs fail; the 8 of the start is too old then, and 2 holds at once."""
    assert syncs(Hpa(10, 1, 100), [None] * 20 + [20.0], start=8) == [8] * 20 + [2]


@pytest.mark.parametrize(("replicas", "put"), [(9, 6), (1, 2)])
def test_replicas_out_of_bounds_are_put_back_without_the_metric(replicas: int, put: int) -> None:
    assert Hpa(10, 2, 6).sync(0.0, None, replicas, replicas) == put
