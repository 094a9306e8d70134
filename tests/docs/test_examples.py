"""The worked numbers of docs/how-it-decides.md are what the core computes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.limits import bound
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.rates import Capacity, Rates, age_seconds
from kafka_consumer_scaler.core.recommendation import Recommendation, Situation, recommend
from kafka_consumer_scaler.core.snapshot import Group, Reading, Replicas, Snapshot, TopicPartition
from kafka_consumer_scaler.core.stabilization import Memory, stabilize
from tests.docs.pages import page
from tests.world import World

PAGE = page("docs/how-it-decides.md")
STABLE = Group("Stable", "cooperative-sticky")


def rows(mark: str) -> list[list[str]]:
    return PAGE.table(mark)[1:]


def situation(partitions: int, replicas: int, lags: list[int], arrival: float, capacity: float) -> Situation:
    """A group long at peace, so that no veto holds."""
    lag = {TopicPartition("orders", number): records for number, records in enumerate(lags)}
    rates = Rates(arrival, arrival, Capacity(capacity, learned=True))
    return Situation(
        now=1e6, replicas=Replicas(replicas, replicas), group=STABLE, lag=lag, stuck=frozenset(), age=0.0, rates=rates,
        spread=Spread((partitions,)), backlog=Backlog.CAUGHT_UP, quiet_seconds=0.0, unbroken_seconds=1e6,
        peace_seconds=1e6, regretted_replicas=0, awaits_first_commit=False,
    )  # fmt: skip


@pytest.mark.parametrize("row", rows("age"))
def test_the_age_is_as_tabulated(row: list[str]) -> None:
    *ends, committed, age = map(int, row)
    history, tp = History(), TopicPartition("orders", 0)
    for number, end in enumerate(ends):
        history = history.append(Snapshot(10.0 * number, {tp: Reading(end, min(end, committed))}, STABLE))
    assert age_seconds(history, Policy(max_replicas=1)) == age


def test_the_spread_of_ten_partitions_is_as_tabulated() -> None:
    head, *lines = PAGE.table("busiest")
    busiest, faster, reduced = ([int(cell) for cell in line[1:]] for line in lines)
    ten, replicas = Spread((10,)), [int(cell) for cell in head[1:]]
    assert [ten.busiest(n) for n in replicas] == busiest
    assert [ten.next_faster(n) for n in replicas] == faster
    assert [ten.fewest_as_fast(n) for n in replicas] == reduced


@pytest.mark.parametrize("row", rows("backlog"))
def test_the_replicas_wanted_for_a_backlog_are_as_tabulated(row: list[str]) -> None:
    partitions, lagging, lag, per_replica, now, wanted = map(int, row)
    share, rest = divmod(lag, lagging)
    lags = [share + rest, *[share] * (lagging - 1), *[0] * (partitions - lagging)]
    policy = Policy(max_replicas=100, lag_per_replica=per_replica)
    assert recommend(policy, situation(partitions, now, lags, 0.0, 1.0)).replicas == wanted


@pytest.mark.parametrize("row", rows("arrival"))
def test_the_replicas_kept_for_the_arrival_are_as_tabulated(row: list[str]) -> None:
    partitions, arrival, capacity, now, kept = map(int, row)
    idle = situation(partitions, now, [0] * partitions, float(arrival), float(capacity))
    assert recommend(Policy(max_replicas=100), idle).replicas == kept


@pytest.mark.parametrize("row", rows("limits"))
def test_the_limits_are_as_tabulated(row: list[str]) -> None:
    wanted, partitions, least, most, allowed = (int(row[column]) for column in (0, 1, 2, 3, 5))
    policy = Policy(max_replicas=most, min_replicas=least)
    limited = bound(Recommendation(wanted, ""), policy, Spread((partitions,)))
    assert ", ".join(str(limit.replicas) for limit in limited.trail) == row[4]
    assert limited.replicas == allowed


def test_the_window_is_as_tabulated() -> None:
    head, recommended, expected = PAGE.table("window")
    policy, memory = Policy(max_replicas=12), Memory()
    replicas, seen = int(expected[1]), list[str]()
    for at, wanted in zip(map(float, head[1:]), map(int, recommended[1:]), strict=True):
        memory = memory.with_recommended(wanted, policy, at)
        at_peace = replace(situation(12, replicas, [0] * 12, 1.0, 1.0), now=at)
        replicas = stabilize(wanted, policy, memory, at_peace).replicas
        seen.append(str(replicas))
    assert seen == expected[1:]


def test_the_sentence_is_what_a_story_says() -> None:
    world = World(Policy(max_replicas=8, lag_per_replica=500, polling_interval_seconds=5), lambda _: 3000.0)
    first = next(row.verdict.message for row in world.run(60) if row.scaled_to)
    assert first == PAGE.text.split("<!-- sentence -->\n")[1].splitlines()[0].strip()
