"""Laws of decide(), for any history that a broker could make up."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_consumer_scaler.core.assignment import spread
from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.limits import ceiling
from kafka_consumer_scaler.core.memory import (
    Awaited,
    Found,
    Ineffective,
    Memory,
    Peak,
    Recommended,
    Scaled,
    Threads,
    Throttling,
    Trial,
    Usual,
)
from kafka_consumer_scaler.core.ownership import threads_of
from kafka_consumer_scaler.core.policy import (
    Fallback,
    Mode,
    OffsetReset,
    Policy,
    ProducerQuota,
    ScalingRules,
    StepPolicy,
    StepUnit,
)
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.safe_rate import SafeRate
from kafka_consumer_scaler.core.snapshot import (
    Details,
    Group,
    Member,
    Reading,
    Replicas,
    Snapshot,
    TopicPartition,
    Uncommitted,
    Unknown,
)
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
    max_changes_per_hour=st.none() | st.integers(1, 3),
    max_changes_per_day=st.none() | st.integers(3, 6),
)


quotas = st.lists(st.builds(ProducerQuota, st.integers(0, 50_000), st.just("shop")), max_size=2).map(tuple)
details = st.builds(
    Details,
    record_bytes=st.fixed_dictionaries({"orders": st.floats(1, 1e4), "refunds": st.floats(1, 1e4)}),
    leaders=st.fixed_dictionaries(dict.fromkeys(PARTITIONS, st.integers(1, 3))),
) | st.just(Details())


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    least = draw(st.integers(0, 6))
    most = draw(st.integers(max(1, least), 15))
    fallback = st.builds(Fallback, st.integers(1, 5), st.integers(least, most))
    return Policy(
        max_replicas=most, min_replicas=least, lag_per_replica=draw(st.none() | st.integers(1, 5000)),
        lag_seconds=draw(st.sampled_from([5.0, 60.0, 600.0])), utilization=draw(st.sampled_from([0.5, 1.0])),
        activation_lag=draw(st.sampled_from([0, 1000])),
        consumer_threads=draw(st.integers(1, 3)), offset_reset=draw(st.sampled_from(OffsetReset)),
        scale_up=draw(rules), scale_down=draw(rules), fallback=draw(st.none() | fallback),
        quotas=draw(quotas), mode=draw(st.sampled_from(Mode)),
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
        at += draw(st.integers(2, 360)) / 4
        answers = st.dictionaries(st.sampled_from(PARTITIONS), readings | st.just(Unknown("no leader")), min_size=1)
        whole = st.fixed_dictionaries(dict.fromkeys(PARTITIONS, readings))
        history = history.append(Snapshot(at, draw(whole | answers | st.just(Unknown("no broker"))), draw(groups),
                                          draw(details)))
    if partial_end:
        lost: dict[TopicPartition, Reading | Unknown] = {**draw(whole), PARTITIONS[0]: Unknown("no leader")}
        history = history.append(Snapshot(at + 5, lost, draw(groups)))
    return history


replicas = st.builds(Replicas, spec=st.integers(0, 20), existing=st.integers(0, 20))
times = st.integers(-16_000, 2000).map(lambda quarters: T0 + quarters / 4)
counts = st.integers(1, 15)
memories = st.builds(
    Memory,
    scales=st.lists(st.builds(Scaled, times, st.integers(0, 15), st.integers(0, 15)), max_size=4).map(tuple),
    highs=st.lists(st.builds(Recommended, times, st.integers(0, 30)), max_size=3).map(tuple),
    lows=st.lists(st.builds(Recommended, times, st.integers(0, 30)), max_size=3).map(tuple),
    peaks=st.lists(st.builds(Peak, times, st.floats(0, 1e5)), max_size=3).map(tuple),
    capacity=st.none() | st.builds(Capacity, st.floats(0.1, 1e6), st.booleans()),
    join_seconds=st.none() | st.floats(0, 600),
    pause_seconds=st.none() | st.floats(0, 120),
    awaited=st.none() | st.builds(Awaited, times, st.none() | times),
    trial=st.none() | st.builds(Trial, times, counts, counts, st.none() | st.floats(0, 1e5), st.none() | times),
    ineffective=st.none() | st.builds(
        Ineffective, counts, times, st.integers(1, 50), counts, st.floats(0, 1e5), st.floats(0, 1e5)),
    threads=st.none() | st.builds(
        Threads, st.integers(1, 5), st.integers(0, 20), st.integers(0, 40), times, st.booleans()),
    assignor=st.sampled_from(["", "range", "cooperative-sticky"]),
    usual=st.none() | st.builds(Usual, times, st.floats(0, 1800), st.floats(0, 1e5), st.none() | st.floats(0.1, 1e6)),
    memberless_since=st.none() | times,
    unseen_at=st.none() | times,
    found=st.lists(st.builds(Found, st.sampled_from(Reason), times, st.just("seen"), st.just("do")), max_size=3).map(
        tuple),
    said=st.frozensets(st.sampled_from(Reason)),
    ups=st.lists(times, max_size=6).map(lambda made: tuple(sorted(made))),
    downs=st.lists(times, max_size=6).map(lambda made: tuple(sorted(made))),
    throttling=st.none() | st.builds(
        Throttling, times, st.floats(1, 1e6), times, st.floats(0, 1e5), times, st.floats(1, 1e4), st.booleans(),
        st.none() | times, st.lists(st.floats(0, 1e6), max_size=2).map(tuple)),
)


def judge(policy: Policy, history: History, current: Replicas, memory: Memory) -> Verdict:
    return decide(policy, history, current, memory, now=(history.latest_at or T0) + 0.25)


@given(policies(), histories(), replicas, memories)
def test_no_scale_up_leaves_the_bounds_or_the_useful_partitions(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    decision = judge(policy, history, current, memory).decision
    if isinstance(decision, ScaleTo) and not isinstance(history.latest, Unknown):
        group = history.latest.group
        assignor = group.assignor if isinstance(group, Group) and group.assignor else memory.assignor
        limit = ceiling(policy, spread(tuple(history.latest.readings), assignor, threads_of(policy, memory)))
        if decision.replicas > current.spec:
            assert decision.replicas <= limit


@given(policies(), histories(), replicas, memories)
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
def test_a_partial_sample_never_changes_anything_but_by_the_users_fallback(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    decision = judge(policy, history, current, memory).decision
    if policy.fallback is None or history.failures < policy.fallback.failure_threshold:
        assert isinstance(decision, Abstain)


@given(policies(), histories(), replicas, memories)
def test_the_same_arguments_give_the_same_verdict(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    assert judge(policy, history, current, memory) == judge(policy, history, current, memory)


@given(policies(), histories(), replicas, memories)
def test_no_scale_down_while_the_group_is_not_known_to_be_stable(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    decision = judge(policy, history, current, memory).decision
    sample = history.latest
    is_doubtful = isinstance(sample, Unknown) or isinstance(sample.group, Unknown) or sample.group.is_rebalancing
    if isinstance(decision, ScaleTo) and is_doubtful and policy.fallback is None:
        assert decision.replicas >= min(current.spec, policy.max_replicas)


@given(policies(), histories(), replicas, memories)
def test_no_producer_is_held_without_a_quota_to_hold_it_by_nor_under_its_floor(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    verdict = judge(policy, history, current, memory)
    assert bool(policy.quotas) >= (verdict.throttle is not None) >= (verdict.memory.throttling is not None)
    assert policy.mode is Mode.ACTIVE or verdict.memory.throttling is None
    if verdict.throttle is not None and not isinstance(history.latest, Unknown):
        assert len(verdict.throttle.quotas) == len(policy.quotas)


@given(policies(), histories(), replicas, memories)
def test_replicas_follow_from_the_same_rules_whether_producers_may_be_held_or_not(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    """While nobody is held: then what was asked for before counts."""
    free = replace(memory, throttling=None)
    with_quotas = judge(policy, history, current, free)
    without = judge(replace(policy, quotas=()), history, current, free)
    assert with_quotas.decision == without.decision
    assert with_quotas.trail == without.trail


def shifted(value: Any, seconds: float) -> Any:
    """The same, with every time (whatever is as large as one, but for rates in bytes) moved on."""
    if isinstance(value, float):
        return value + seconds if value > T0 / 2 else value
    if isinstance(value, (SafeRate, TopicPartition)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: shifted(getattr(value, each.name), seconds) for each in fields(value)})
    if isinstance(value, dict):
        return {key: shifted(each, seconds) for key, each in value.items()}
    return type(value)(shifted(each, seconds) for each in value) if isinstance(value, tuple) else value


@given(policies(), histories(), replicas, memories, st.sampled_from([1.0, 86_400.0, 20_000_000.0, -100_000_000.0]))
def test_a_decision_never_depends_on_what_time_it_is(
    policy: Policy, history: History, current: Replicas, memory: Memory, seconds: float
) -> None:
    """Times are quarters of a second, which floats hold exactly at any date."""
    verdict = judge(policy, history, current, memory)
    later = judge(policy, shifted(history, seconds), current, shifted(memory, seconds))
    assert later == shifted(verdict, seconds)


@given(policies(), histories(), replicas, memories)
@settings(max_examples=150)
def test_decide_is_total_and_its_memory_can_be_used_again(
    policy: Policy, history: History, current: Replicas, memory: Memory
) -> None:
    verdict = judge(policy, history, current, memory)
    again = verdict.memory_after_scaling(current.spec, (history.latest_at or T0) + 1)
    at = (history.latest_at or T0) + 15
    if not isinstance(history.latest, Unknown):
        history = history.append(Snapshot(at, dict(history.latest.readings), history.latest.group))
    assert judge(policy, history, current, again).message


def fleeting(start: float) -> Verdict:
    """A group whose replicas have not joined, half a minute after the first sample; nothing is known of a change."""
    tps = PARTITIONS[:5]
    group = Group("Stable", "range", (Member("m0", frozenset(tps)),))
    history = History()
    for at in (0, 10, 20):
        history = history.append(Snapshot(start + at, {tp: Reading(9000 + 70 * at, 8000) for tp in tps}, group))
    return judge(Policy(max_replicas=5), history, Replicas(4, 4), Memory(capacity=Capacity(100.0, learned=True)))


def test_a_recording_that_starts_at_0_is_judged_as_any_other() -> None:
    """As written by hand for `replay`."""
    assert fleeting(0.0).message == fleeting(T0).message


def ever_more(lag: int, age: int, arrival: int) -> Verdict:
    tps = PARTITIONS[:5]
    hands = tuple(Member(f"m{n}", frozenset(tps[n::2])) for n in range(2))
    group = Group("Stable", "cooperative-sticky", hands)
    history = History()
    for at in range(0, 90, 15):
        ends = 100_000 + at * arrival
        history = history.append(Snapshot(T0 + at, {
            tp: Reading(ends, max(0, ends - lag - age * arrival)) for tp in tps}, group))
    return judge(Policy(max_replicas=5), history, Replicas(2, 2), Memory(capacity=Capacity(100.0, learned=True)))


@given(st.integers(0, 5000), st.integers(0, 300), st.integers(0, 5000), st.integers(1, 100))
@settings(max_examples=60)
def test_more_lag_never_asks_for_fewer_replicas(lag: int, age: int, more: int, arrival: int) -> None:
    def allowed(found: Verdict) -> int:
        assert isinstance(found.measurements.replicas_wanted, int)
        return found.measurements.replicas_wanted

    assert allowed(ever_more(lag + more, age, arrival)) >= allowed(ever_more(lag, age, arrival))


TWICE = {TopicPartition(topic, n): n % 2 for topic in ("orders", "refunds") for n in range(4)}
"""Two topics of four partitions; the even ones get and lag by one number, the odd ones by another."""


@given(st.permutations(range(4)), st.booleans(), *[st.integers(1, 100), st.integers(0, 60)] * 2)
@settings(max_examples=100)
def test_another_order_of_topics_and_of_partitions_of_equal_load_changes_nothing(
    order: list[int], swapped: bool, arrival: int, age: int, other_arrival: int, other_age: int
) -> None:
    """The two loads stay where they were; which of the equal ones is called what is another matter."""
    loads = (arrival, age), (other_arrival, other_age)
    even_ones, odd_ones = [n for n in order if n % 2 == 0], [n for n in order if n % 2 == 1]
    names = dict(zip(range(4), (even_ones[0], odd_ones[0], even_ones[1], odd_ones[1]), strict=True))
    topics = {"orders": "refunds", "refunds": "orders"} if swapped else {"orders": "orders", "refunds": "refunds"}
    other = {tp: TopicPartition(topics[tp.topic], names[tp.partition]) for tp in TWICE}
    assert skewed(loads, {tp: tp for tp in TWICE}) == skewed(loads, other)


def test_which_partitions_share_a_consumer_is_no_matter_of_indifference() -> None:
    """So the law above can fail: with rows of range, the heavy partitions first are not the heavy ones in turn."""
    loads = (60, 40), (1, 0)
    first_heavy = {tp: TopicPartition(tp.topic, [0, 2, 1, 3][tp.partition]) for tp in TWICE}
    assert skewed(loads, {tp: tp for tp in TWICE}) != skewed(loads, first_heavy)


def skewed(loads: tuple[tuple[int, int], tuple[int, int]], names: dict[TopicPartition, TopicPartition]) -> str:
    """What is said of two consumers of range, whose partitions get (records/s, and seconds of them behind)."""
    hands = tuple(frozenset(tp for tp in TWICE if tp.partition // 2 == n) for n in range(2))
    group = Group("Stable", "range", tuple(Member(f"m{n}", hand) for n, hand in enumerate(hands)))
    history = History()
    for at in range(0, 150, 15):
        readings = {names[tp]: Reading(100_000 + at * loads[odd][0], 100_000 + (at - loads[odd][1]) * loads[odd][0])
                    for tp, odd in TWICE.items()}
        history = history.append(Snapshot(T0 + at, readings, group))
    memory = Memory(capacity=Capacity(100.0, learned=True))
    return judge(Policy(max_replicas=5), history, Replicas(2, 2), memory).message
