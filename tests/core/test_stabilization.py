"""Windows, and a dumb twin that keeps everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.core.policy import Policy, ScalingRules
from kafka_consumer_scaler.core.stabilization import SCALES_KEPT, Memory

rows = st.lists(st.tuples(st.floats(0.1, 60), st.integers(0, 20)), min_size=1, max_size=40)


@given(rows, st.integers(0, 300), st.integers(0, 300))
def test_the_windows_know_what_a_twin_that_keeps_everything_knows(
    row: list[tuple[float, int]], up: int, down: int
) -> None:
    policy = Policy(max_replicas=20, scale_up=ScalingRules(up, 0), scale_down=ScalingRules(down, 0))
    memory, everything, at = Memory(), list[tuple[float, int]](), 0.0
    for step, replicas in row:
        at += step
        everything.append((at, replicas))
        memory = memory.with_recommended(replicas, policy, at)
        assert max(each.replicas for each in memory.highs) == max(n for t, n in everything if t >= at - down)
        assert min(each.replicas for each in memory.lows) == min(n for t, n in everything if t >= at - up)


@given(rows)
def test_the_windows_keep_one_entry_for_each_level(row: list[tuple[float, int]]) -> None:
    memory, at = Memory(), 0.0
    for step, replicas in row:
        at += step
        memory = memory.with_recommended(replicas, Policy(max_replicas=20), at)
    levels = [high.replicas for high in memory.highs]
    assert levels == sorted(set(levels), reverse=True)


def test_changes_are_kept_for_an_hour_and_twenty_at_most() -> None:
    memory = Memory()
    for number in range(50):
        memory = memory.with_scaled(1, 2, at=number * 60.0)
    assert len(memory.scales) == SCALES_KEPT
    assert len(memory.with_scaled(2, 3, at=100_000.0).scales) == 1


def test_a_scale_down_that_was_soon_taken_back_is_regretted_for_an_hour() -> None:
    memory = Memory().with_scaled(6, 4, at=1000.0).with_scaled(4, 12, at=1030.0)
    assert [scale.after for scale in memory.regretted(now=1100.0)] == [4]
    assert memory.regretted(now=1000.0 + 3601) == ()
    assert Memory().with_scaled(6, 4, at=0.0).with_scaled(4, 12, at=301.0).regretted(now=400.0) == ()


def test_each_regret_doubles_the_scale_down_window_up_to_an_hour() -> None:
    policy, memory, windows = Policy(max_replicas=20), Memory(), []
    for number in range(6):
        windows.append(memory.scale_down_window_seconds(policy, now=number * 400.0))
        memory = memory.with_scaled(6, 4, at=number * 400.0).with_scaled(4, 6, at=number * 400.0 + 60)
    assert windows == [300, 600, 1200, 2400, 3600, 3600]
    assert memory.scale_down_window_seconds(policy, now=10_000.0) == 300
