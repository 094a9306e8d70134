"""Laws of decide(), for any history that a broker could make up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.core.assignment import spread
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.limits import Scaled, ceiling
from kafka_consumer_scaler.core.policy import Fallback, OffsetReset, Policy, ScalingRules, StepPolicy, StepUnit
from kafka_consumer_scaler.core.rates import Capacity
from kafka_consumer_scaler.core.snapshot import (
    Group,
    Member,
    Reading,
    Replicas,
    Snapshot,
    TopicPartition,
    Uncommitted,
    Unknown,
)
from kafka_consumer_scaler.core.stabilization import Memory, Recommended
from kafka_consumer_scaler.core.verdict import Abstain, ScaleTo, Verdict

T0 = 1_700_000_000.0
PARTITIONS = [TopicPartition("orders", n) for n in range(5)] + [TopicPartition("refunds", n) for n in range(3)]

rules = st.builds(
    ScalingRules,
    stabilization_window_seconds=st.integers(0, 120),
    cooldown_seconds=st.integers(0, 120),
    policies=st.lists(
        st.builds(StepPolicy, st.sampled_from(StepUnit), st.integers(1, 200), st.integers(1, 300)), max_size=2
    ).map(tuple),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    least = draw(st.integers(0, 6))
    most = draw(st.integers(max(1, least), 15))
    fallback = st.builds(Fallback, st.integers(1, 5), st.integers(least, most))
    return Policy(
        max_replicas=most, min_replicas=least, lag_per_replica=draw(st.integers(1, 5000)),
        consumer_threads=draw(st.integers(1, 3)), offset_reset=draw(st.sampled_from(OffsetReset)),
        scale_up=draw(rules), scale_down=draw(rules), fallback=draw(st.none() | fallback),
    )


readings = st.builds(
    Reading,
    end=st.integers(0, 20_000),
    committed=st.integers(0, 20_000) | st.just(Uncommitted()),
    start=st.integers(0, 1000),
)
groups = st.builds(
    Group,
    state=st.sampled_from(["Stable", "Empty", "PreparingRebalance"]),
    assignor=st.sampled_from(["range", "cooperative-sticky", ""]),
    members=st.lists(st.builds(Member, st.text("abc", min_size=1, max_size=3),
                               st.frozensets(st.sampled_from(PARTITIONS))), max_size=4).map(tuple),
) | st.just(Unknown("not described"))


@st.composite
def histories(draw: st.DrawFn, partial_end: bool = False) -> History:
    history, at = History(), T0
    for _ in range(draw(st.integers(1, 8))):
        at += draw(st.floats(0.5, 90))
        answers = st.dictionaries(st.sampled_from(PARTITIONS), readings | st.just(Unknown("no leader")), min_size=1)
        whole = st.fixed_dictionaries(dict.fromkeys(PARTITIONS, readings))
        history = history.append(Snapshot(at, draw(whole | answers | st.just(Unknown("no broker"))), draw(groups)))
    if partial_end:
        lost: dict[TopicPartition, Reading | Unknown] = {**draw(whole), PARTITIONS[0]: Unknown("no leader")}
        history = history.append(Snapshot(at + 5, lost, draw(groups)))
    return history


replicas = st.builds(Replicas, spec=st.integers(0, 20), existing=st.integers(0, 20))
times = st.floats(T0 - 4000, T0 + 500)
memories = st.builds(
    Memory,
    scales=st.lists(st.builds(Scaled, times, st.integers(0, 15), st.integers(0, 15)), max_size=4).map(tuple),
    highs=st.lists(st.builds(Recommended, times, st.integers(0, 30)), max_size=3).map(tuple),
    lows=st.lists(st.builds(Recommended, times, st.integers(0, 30)), max_size=3).map(tuple),
    capacity=st.none() | st.builds(Capacity, st.floats(0.1, 1e6), st.booleans()),
)


def judge(policy: Policy, history: History, current: Replicas, memory: Memory) -> Verdict:
    return decide(policy, history, current, memory, now=(history.latest_at or T0) + 0.1)


@given(policies(), histories(), replicas, memories)
@settings(max_examples=100, deadline=None)
def test_no_scale_up_leaves_the_bounds_or_the_useful_partitions(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    decision = judge(policy, history, current, memory).decision
    if isinstance(decision, ScaleTo) and not isinstance(history.latest, Unknown):
        group = history.latest.group
        assignor = group.assignor if isinstance(group, Group) and group.assignor else memory.assignor
        limit = ceiling(policy, spread(tuple(history.latest.readings), assignor, policy.consumer_threads))
        if decision.replicas > current.spec:
            assert decision.replicas <= limit


@given(policies(), histories(), replicas, memories)
@settings(max_examples=100, deadline=None)
def test_every_move_ends_within_the_bounds_or_goes_towards_them_by_the_users_own_steps(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    decision = judge(policy, history, current, memory).decision
    if isinstance(decision, ScaleTo):
        low, high = policy.min_replicas, policy.max_replicas
        inside = low <= decision.replicas <= high
        towards = current.spec > high >= 0 and high < decision.replicas < current.spec
        towards = towards or current.spec < decision.replicas < low
        assert inside or towards


@given(policies(), histories(partial_end=True), replicas, memories)
@settings(max_examples=100, deadline=None)
def test_a_partial_sample_never_changes_anything_but_by_the_users_fallback(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    decision = judge(policy, history, current, memory).decision
    if policy.fallback is None or history.failures < policy.fallback.failure_threshold:
        assert isinstance(decision, Abstain)


@given(policies(), histories(), replicas, memories)
@settings(max_examples=100, deadline=None)
def test_the_same_arguments_give_the_same_verdict(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    assert judge(policy, history, current, memory) == judge(policy, history, current, memory)


@given(policies(), histories(), replicas, memories)
@settings(max_examples=100, deadline=None)
def test_no_scale_down_while_the_group_is_not_known_to_be_stable(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    decision = judge(policy, history, current, memory).decision
    sample = history.latest
    is_doubtful = isinstance(sample, Unknown) or isinstance(sample.group, Unknown) or sample.group.is_rebalancing
    if isinstance(decision, ScaleTo) and is_doubtful and policy.fallback is None:
        assert decision.replicas >= min(current.spec, policy.max_replicas)
