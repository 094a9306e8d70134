"""More lag never asks for fewer replicas: for even and uneven partitions, any assignor, by the objective and by lag."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.core.assignment import deal, spread
from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.classic import by_lag
from kafka_consumer_scaler.core.objective import by_age
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, Member, Replicas, TopicPartition
from tests.core.making import even, known

EXAMPLES = 400
capacities = st.builds(Capacity, st.sampled_from([30.0, 100.0, 200.0]), st.booleans(), st.booleans())


def behind(situation: Situation, lags: list[int]) -> Situation:
    """The same, with so many records behind on each partition, as old as it takes them to arrive."""
    lag = dict(zip(situation.lag, lags, strict=True))
    arrival = situation.rates.arrival.average  # type: ignore[union-attr]
    ages = {tp: each / (arrival * situation.shares[tp]) for tp, each in lag.items()}
    waiting = {tp: float(each) for tp, each in lag.items()}
    return replace(situation, lag=lag, waiting=waiting, ages=ages, age=max(ages.values()))


@st.composite
def groups(draw: st.DrawFn, most: int) -> tuple[Situation, list[int]]:
    """Up to 12 partitions of 2 topics that get and lag alike, or each something else; up to as many replicas."""
    count = draw(st.integers(1, 12))
    arrivals = draw(st.lists(st.integers(1, 60), min_size=count, max_size=count)
                    | st.integers(1, 60).map(lambda each: [each] * count))
    lags = draw(st.lists(st.just(0) | st.integers(0, most), min_size=count, max_size=count))
    names = sorted(TopicPartition(f"t{n % 3 // 2}", n) for n in range(count))
    assignor = draw(st.sampled_from(["range", "roundrobin", "cooperative-sticky"]))
    current = draw(st.integers(1, count))
    hands = deal(names, assignor, current)
    shares = {tp: each / sum(arrivals) for tp, each in zip(names, arrivals, strict=True)}
    group = Group("Stable", assignor, tuple(Member(f"m{n}", frozenset(hand)) for n, hand in enumerate(hands)))
    rates = replace(known(float(sum(arrivals)), 100.0), capacity=draw(capacities))
    return replace(
        even(current, 1.0), lag=dict.fromkeys(names, 0), shares=shares, shares_newest=shares, group=group, rates=rates,
        assignor=assignor, spread=spread(names, assignor, 1), replicas=Replicas(current, current),
        kept=frozenset(names)), lags


@given(groups(8000), st.integers(0, 11), st.integers(1, 8000), st.sampled_from([12, 5]))
@settings(max_examples=EXAMPLES)
def test_by_the_objective(case: tuple[Situation, list[int]], which: int, more: int, most: int) -> None:
    situation, lags = case
    worse = [lag + more * (n == which % len(lags)) for n, lag in enumerate(lags)]
    policy = Policy(max_replicas=most)
    assert by_age(policy, behind(situation, worse))[0] >= by_age(policy, behind(situation, lags))[0]


@given(groups(30), st.integers(0, 11), st.integers(1, 30), st.integers(1, 10))
@settings(max_examples=EXAMPLES)
def test_more_lag_on_any_partition_never_asks_for_fewer_replicas(
    case: tuple[Situation, list[int]], which: int, more: int, per_replica: int
) -> None:
    situation, lags = case
    worse = [lag + more * (n == which % len(lags)) for n, lag in enumerate(lags)]
    policy = Policy(max_replicas=12, lag_per_replica=per_replica)
    assert by_lag(policy, behind(situation, worse), per_replica)[0] >= by_lag(
        policy, behind(situation, lags), per_replica)[0]
