"""No hour and no day has more changes in a direction than the user allows, whatever is wanted and whoever restarts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.api.memory import memory_of, pieces_of
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import HOUR_SECONDS, Policy, ScalingRules
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.stabilization import stabilize
from kafka_consumer_scaler.simulation.ours import KafkaConsumerScaler
from kafka_consumer_scaler.simulation.plant import PlantSpec
from kafka_consumer_scaler.simulation.run import run
from tests.core.making import NOW, even

Changes = list[tuple[float, int, int]]
"""(at in seconds, before, after)."""
EVEN = {replicas: even(replicas, 300.0) for replicas in range(1, 13)}

rules = st.builds(
    ScalingRules, st.just(0), st.just(0), max_changes_per_hour=st.none() | st.integers(1, 4),
    max_changes_per_day=st.none() | st.integers(4, 8),
)
wishes = st.lists(st.tuples(st.sampled_from([1.0, 60.0, 899.5, 1800.0, 20_000.0]), st.integers(1, 12), st.booleans()),
                  min_size=20, max_size=120)
"""Seconds since the wish before, replicas wanted, and whether an operator is started again before it decides."""


def most_within(times: list[float], seconds: float) -> int:
    """The most changes of any period of so many seconds, its end not included."""
    return max((sum(start <= at < start + seconds for at in times) for start in times), default=0)


def wished(policy: Policy, wanted: list[tuple[float, int, bool]]) -> tuple[Changes, list[Memory]]:
    """What is done about a row of wishes, by the windows, vetoes and memory that `decide` has."""
    changes, memories, memory, current, now = Changes(), list[Memory](), Memory(), 6, NOW
    for gap, replicas, is_restarted in wanted:
        now += gap
        memory = memory_of(pieces_of(memory), now) if is_restarted else memory
        memory = memory.with_counted(policy, now).with_recommended(replicas, policy, now)
        memories.append(memory)
        situation: Situation = replace(EVEN[current], now=now, memory=memory)
        after = stabilize(replicas, policy, memory, situation).replicas
        if after != current:
            changes.append((now, current, after))
            memory = memory.with_scaled(current, after, now)
        current = after
    return changes, memories


def by_direction(changes: Changes) -> dict[str, list[float]]:
    return {"up": [at for at, before, after in changes if after > before],
            "down": [at for at, before, after in changes if after < before]}


@given(rules, rules, wishes)
@settings(max_examples=200, deadline=None)
def test_no_hour_and_no_day_has_more_changes_than_allowed(
    up: ScalingRules, down: ScalingRules, wanted: list[tuple[float, int, bool]]
) -> None:
    changes, _ = wished(Policy(max_replicas=12, scale_up=up, scale_down=down), wanted)
    for direction, limits in {"up": up, "down": down}.items():
        for limit in limits.change_limits:
            assert most_within(by_direction(changes)[direction], limit.period_seconds) <= limit.changes


@given(rules, rules, wishes)
@settings(max_examples=100, deadline=None)
def test_a_change_that_no_limit_forbids_is_made(
    up: ScalingRules, down: ScalingRules, wanted: list[tuple[float, int, bool]]
) -> None:
    """Judged by a twin that keeps every change."""
    changes, _ = wished(Policy(max_replicas=12, scale_up=up, scale_down=down), wanted)
    twin, current, now = Changes(), 6, NOW
    for gap, replicas, _ in wanted:
        now += gap
        limits = (up if replicas > current else down).change_limits
        made = by_direction(twin)["up" if replicas > current else "down"]
        is_free = all(sum(at > now - limit.period_seconds for at in made) < limit.changes for limit in limits)
        if replicas != current and is_free:
            twin.append((now, current, replicas))
            current = replicas
    assert changes == twin


@given(rules, rules, wishes)
@settings(max_examples=50, deadline=None)
def test_the_memory_has_no_more_times_than_the_largest_limit(
    up: ScalingRules, down: ScalingRules, wanted: list[tuple[float, int, bool]]
) -> None:
    _, memories = wished(Policy(max_replicas=12, scale_up=up, scale_down=down), wanted)
    for memory in memories:
        assert len(memory.ups) <= max((limit.changes for limit in up.change_limits), default=0)
        assert len(memory.downs) <= max((limit.changes for limit in down.change_limits), default=0)


WAVES = ([150.0] * 300 + [750.0] * 300) * 15
"""Two and a half hours of a load that rises and falls every ten minutes, records/s."""


def played(*, limit: int | None) -> dict[str, list[float]]:
    down = ScalingRules(0, 0, max_changes_per_hour=limit)
    policy = Policy(max_replicas=12, scale_up=ScalingRules(0, 0), scale_down=down)
    return by_direction(list(run(PlantSpec(), WAVES, KafkaConsumerScaler(policy), 1).scales))


@pytest.mark.parametrize("limit", [1, 3])
def test_in_closed_loop_a_load_that_comes_and_goes_leads_to_no_more_scale_downs_than_allowed(limit: int) -> None:
    free, held = played(limit=None), played(limit=limit)
    assert most_within(free["down"], HOUR_SECONDS) > 3
    assert most_within(held["down"], HOUR_SECONDS) == limit
    assert len(held["up"]) <= len(free["up"])
