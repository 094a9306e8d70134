"""The safe rate, by tables computed by hand: twelve partitions, 100 records/s a consumer, 60 s, back in 300 s."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.memory import Ineffective, Memory, Throttling
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.safe_rate import SafeRate, burdens, record_bytes, safe_rate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, TopicPartition, Unknown
from tests.core.making import NOW, even, known, members, orders

POLICY = Policy(max_replicas=12)
SIZES = Details(record_bytes={"orders": 100.0})


def safe(situation: Situation, policy: Policy = POLICY) -> SafeRate:
    found = safe_rate(policy, situation)
    assert isinstance(found, SafeRate)
    return found


def behind(each: float, **changes: object) -> Situation:
    """Twelve replicas, every partition so many records behind."""
    situation = replace(even(12, 2400), waiting=dict.fromkeys(orders(12), each), details=SIZES)
    return replace(situation, **changes)  # type: ignore[arg-type]


def skewed(first: float, **changes: object) -> Situation:
    """The first of twelve partitions gets that share, the others the rest evenly, and nothing waits."""
    others = (1 - first) / 11
    shares = {tp: first if tp.partition == 0 else others for tp in orders(12)}
    return behind(0, shares=shares, **changes)


@pytest.mark.parametrize(("each", "records"), [
    (0, 1200), (3600, 1200), (5000, 1136.36), (10_000, 909.09), (29_736, 12), (30_000, 0), (90_000, 0),
])
def test_it_is_what_is_sustained_less_what_must_be_worked_off_in_time(each: float, records: float) -> None:
    """(100 * 300 - each) / (264 / 12), and 1,200 at most."""
    found = safe(behind(each))
    assert found.records == pytest.approx(records, abs=0.01)
    assert found.sustained == pytest.approx(1200)
    assert found.bytes == pytest.approx(100 * records, abs=1)


@pytest.mark.parametrize(("most", "replicas", "sustained"), [
    (12, 12, 1200), (50, 12, 1200), (8, 6, 600), (6, 6, 600), (5, 4, 400), (1, 1, 100),
])
def test_the_useful_maximum_is_the_fewest_replicas_that_are_as_fast_as_the_most(
    most: int, replicas: int, sustained: float
) -> None:
    found = safe(behind(0), Policy(max_replicas=most))
    assert found.replicas == replicas
    assert found.sustained == pytest.approx(sustained)


@pytest.mark.parametrize(("share", "sustained"), [(0.1, 1000), (0.4, 250), (0.8, 125)])
def test_the_partition_that_gets_most_decides(share: float, sustained: float) -> None:
    """It has a consumer of its own."""
    found = safe(skewed(share, hot=frozenset({orders(12)[0]})))
    assert found.sustained == pytest.approx(sustained)
    assert found.partition == orders(12)[0]
    assert f"orders/0 gets {share:.0%}" in found.because


def test_only_a_hot_partition_is_named() -> None:
    assert safe(skewed(0.1)).partition is None


def test_partitions_that_do_not_move_are_no_burden() -> None:
    """Eleven of twelve shares are left, one each: 100 / (1 / 12)."""
    tp = orders(12)[0]
    situation = behind(0, stuck=frozenset({tp}))
    situation = replace(situation, waiting={**situation.waiting, tp: 1e9})
    assert safe(situation).records == pytest.approx(1200)


@pytest.mark.parametrize(("replicas", "until", "wanted", "sustained"), [
    (6, NOW + 60, 6, 588),  # withdrawn: 6 could do 600, and 588 is what was done
    (6, NOW - 60, 12, 588),  # tried again, and nothing better was shown yet
    (12, NOW - 60, 12, 588),  # all twelve were needed for 588
])
def test_what_was_measured_under_a_bound_downstream_counts(
    replicas: int, until: float, wanted: int, sustained: float
) -> None:
    found = safe(behind(0, memory=Memory(ineffective=Ineffective(replicas, until, 1, 12, 600, 588))))
    assert found.replicas == wanted
    assert found.sustained == pytest.approx(sustained)


def test_a_bound_that_all_share_must_work_off_what_waits_for_all() -> None:
    """(588 * 300 - 12 * 5,000) / 264."""
    memory = Memory(ineffective=Ineffective(12, NOW, 1, 12, 600, 588))
    assert safe(behind(5000, memory=memory)).records == pytest.approx(440.9, abs=0.1)


def test_who_wants_to_be_back_sooner_than_the_objective_is_asked_for_no_more_than_that() -> None:
    """R is 60 s: (100 * 60 - 3,600) / (24 / 12)."""
    assert safe(behind(3600), replace(POLICY, recovery_seconds=10)).records == pytest.approx(1200)
    assert safe(behind(5000), replace(POLICY, recovery_seconds=10)).records == pytest.approx(500)


def test_partitions_count_where_they_are_and_not_where_they_would_be_dealt() -> None:
    """Four consumers of which one has 6 of 12 partitions: 100 / (6 / 12)."""
    names = orders(12)
    hands = (names[:6], names[6:8], names[8:10], names[10:])
    group = Group("Stable", "sticky", tuple(Member(f"m{n}", frozenset(hand)) for n, hand in enumerate(hands)))
    four = Policy(max_replicas=4)
    assert safe(behind(0, group=group), four).sustained == pytest.approx(200)
    assert safe(behind(0, group=members(3)), four).sustained == pytest.approx(400), "others are to come"


def test_nothing_is_safe_to_say_while_the_capacity_or_the_shares_are_not_known() -> None:
    assert safe_rate(POLICY, behind(0, rates=known(100, Unknown("idle")))) == Unknown("idle")
    assert isinstance(safe_rate(POLICY, behind(0, shares={})), Unknown)


@pytest.mark.parametrize(("learned", "busy"), [(True, False), (False, True), (False, False)])
def test_a_lower_bound_is_told_as_one_and_what_busy_consumers_do_is_none(learned: bool, busy: bool) -> None:
    rates = replace(known(100, 100), capacity=Capacity(100, learned, busy))
    assert safe(behind(0, rates=rates)).is_learned is (learned or busy)


ORDERS, REFUNDS = TopicPartition("orders", 0), TopicPartition("refunds", 0)


@pytest.mark.parametrize(("shares", "mean"), [
    ({ORDERS: 0.75, REFUNDS: 0.25}, 350), ({ORDERS: 1.0, REFUNDS: 0.0}, 400),
])
def test_the_mean_record_is_weighed_by_what_arrives(shares: dict[TopicPartition, float], mean: float) -> None:
    details = Details(record_bytes={"orders": 400.0, "refunds": 200.0})
    assert record_bytes(behind(0, shares=shares, details=details)) == pytest.approx(mean)


def test_a_topic_whose_records_nobody_weighed_leaves_the_bytes_unknown() -> None:
    found = safe(behind(0, details=Details()))
    assert found.records == pytest.approx(1200)
    assert isinstance(found.bytes, Unknown)
    assert "orders" in found.bytes.why


def test_what_came_through_at_a_rate_weighs_a_record_better_than_what_is_stored() -> None:
    memory = Memory(throttling=Throttling(NOW, 120_000, NOW, 2400, NOW, 133.0))
    assert safe(behind(0, memory=memory)).bytes == pytest.approx(1200 * 133)


@pytest.mark.parametrize(("each", "arrival", "late"), [
    (0, 1200, False), (3600, 1200, False), (6001, 1200, True), (0, 1499, False), (0, 1501, True),
])
def test_late_is_who_will_be_over_the_objective_in_300_s(each: float, arrival: float, late: bool) -> None:
    """each + (arrival / 12) * 300 - 30,000 > (arrival / 12) * 60."""
    found = burdens(POLICY, behind(each))
    assert not isinstance(found, Unknown)
    assert any(one.is_late(POLICY, arrival) for one in found) is late
