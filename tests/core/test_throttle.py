"""What producers are held to, by tables computed by hand: twelve partitions on three brokers, twelve consumers of 100
records/s, records of 100 bytes, 60 s, polls every 15 s; 1,200 records/s are sustained, and 120,000 bytes/s are they."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.memory import Memory, Throttling
from kafka_consumer_scaler.core.policy import Mode, Policy, ProducerQuota
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.safe_rate import safe_rate
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, Replicas, Unknown
from kafka_consumer_scaler.core.throttle import Course, counted, floor_of, pause_seconds, steer, unseen
from tests.core.making import NOW, even, known, members, orders

SHOP = ProducerQuota(12_000, client_id="shop")
POLICY = Policy(max_replicas=12, quotas=(SHOP,))
DETAILS = Details(record_bytes={"orders": 100.0}, leaders={tp: tp.partition % 3 for tp in orders(12)})


def behind(arrival: float = 2400, each: float = 3600, age: float = 20, **changes: object) -> Situation:
    """Twelve busy consumers, each so many records behind, the oldest of them so many seconds old."""
    situation = replace(even(12, arrival, age), waiting=dict.fromkeys(orders(12), each), details=DETAILS,
                        rates=known(arrival, 100, drain=1200), backlog=Backlog.BEHIND)
    return replace(situation, **changes)  # type: ignore[arg-type]


def steered(situation: Situation, policy: Policy = POLICY, allowed: int = 12) -> Course:
    return steer(policy, situation, safe_rate(policy, situation), allowed)


def held(rate: float = 120_000, ago: float = 100, **changes: object) -> Memory:
    """Producers are held to a rate that was set so many seconds ago; 2,400 records/s were asked for."""
    known_of_it = Throttling(NOW - 1000, rate, NOW - ago, 2400, NOW - 15, 100, is_weighed=True, per_broker=(rate / 3,))
    return Memory(throttling=replace(known_of_it, **changes))  # type: ignore[arg-type]


def rate_of(course: Course) -> float | None:
    return None if course.throttling is None else round(course.throttling.rate)


# how it begins

def test_a_group_that_cannot_keep_up_at_its_useful_maximum_has_its_producers_held_to_the_safe_rate() -> None:
    course = steered(behind())
    assert course.throttle is not None
    assert course.throttle.bytes_per_second == pytest.approx(120_000)
    assert [quota.bytes_per_broker for quota in course.throttle.quotas] == [pytest.approx(40_000)]
    assert course.throttling is not None
    assert course.throttling.demand == 2400
    assert "producers are held to 120,000 bytes/s: 12 replicas sustain 1,200 records/s" in course.why


@pytest.mark.parametrize(("name", "changes"), [
    ("caught up", {"backlog": Backlog.CAUGHT_UP}),
    ("nobody knows how old", {"ages": {orders(12)[0]: Unknown("one sample")}}),
    ("never seen busy", {"rates": known(2400, 100, drain=1200, learned=False)}),
    ("more will help", {"replicas": Replicas(6, 6)}),
    ("it comes back by itself", {"rates": known(1190, 100, drain=1195)}),
    ("nothing arrives", {"rates": known(0, 100, drain=1200)}),
    ("nobody knows what arrives", {"rates": known(Unknown("one sample"), 100, drain=1200)}),
])
def test_producers_are_left_alone_when(name: str, changes: dict[str, object]) -> None:
    assert steered(replace(behind(), **changes)) == Course(), name  # type: ignore[arg-type]


def test_one_that_was_seen_busy_for_a_moment_is_known_well_enough() -> None:
    rates = replace(known(2400, 100, drain=1200), capacity=Capacity(100, learned=False, busy=True))
    assert rate_of(steered(behind(rates=rates))) == 120_000


@pytest.mark.parametrize(("allowed", "rate"), [(12, None), (6, 120_000)])
def test_fewer_replicas_than_the_useful_maximum_do_where_no_more_are_wanted(allowed: int, rate: int | None) -> None:
    """A hot partition: six leave it alone with its consumer as well as twelve would."""
    assert rate_of(steered(behind(replicas=Replicas(6, 6)), allowed=allowed)) == rate


@pytest.mark.parametrize(("each", "rate"), [(4800, None), (4801, 114_541)])
def test_what_falls_behind_too_slowly_to_be_late_is_let_be(each: float, rate: int | None) -> None:
    """105 a consumer: each + 31,500 - 30,000 is late over 60 s of it, 6,300; then (30,000 - each) * 12 / 264."""
    assert rate_of(steered(behind(1260, each=each, rates=known(1260, 100, drain=1250)))) == rate


@pytest.mark.parametrize(("retention", "is_held"), [(None, False), ((orders(12)[0], 600.0), True)])
def test_a_backlog_of_any_size_is_let_be_unless_retention_is_about_to_bite(
    retention: tuple[object, float] | None, is_held: bool
) -> None:
    """300 of 1,200 arrive and an hour of records waits: it is being drained, and producers would not help it."""
    situation = behind(300, each=90_000, retention=retention, backlog=Backlog.DRAINING)
    assert (steered(situation).throttling is not None) is is_held


def test_who_is_over_the_objective_and_does_not_do_what_arrives_cannot_keep_up_whatever_was_learned() -> None:
    slow = known(1150, 100, drain=1000)
    assert rate_of(steered(behind(1150, each=6500, age=61, rates=slow))) == 106_818
    assert steered(behind(1150, each=6500, age=59, rates=slow)) == Course()
    gone = behind(1150, each=6500, age=61, rates=slow, group=members(9))
    assert steered(gone) == Course(), "consumers are missing: their absence is not the producers' fault"


@pytest.mark.parametrize("details", [Details(record_bytes={"orders": 100.0}), Details(leaders=DETAILS.leaders)])
def test_without_leaders_or_sizes_producers_are_left_alone_and_that_is_said(details: Details) -> None:
    course = steered(behind(details=details))
    assert course.throttle is None
    assert "not slowed down" in course.why


# what it becomes

@pytest.mark.parametrize(("name", "rate", "ago", "changes", "then"), [
    ("too soon", 120_000, 29, {"each": 10_000}, 120_000),
    ("much less is safe", 120_000, 30, {"each": 10_000}, 90_909),
    ("a little less is safe", 120_000, 30, {"each": 5_000}, 120_000),
    ("nothing is safe", 120_000, 30, {"each": 40_000}, 12_000),
    ("much more is safe", 60_000, 30, {}, 66_000),
    ("a little more is safe", 115_000, 30, {}, 115_000),
    ("still falling behind", 120_000, 75, {"age": 46}, 108_000),
    ("falling behind, not yet seen", 120_000, 74, {"age": 46}, 120_000),
    ("falling behind, and still young", 120_000, 75, {"age": 44}, 120_000),
    ("young", 120_000, 300, {"age": 19}, 126_000),
    ("young, not yet seen", 120_000, 299, {"age": 19}, 120_000),
    ("young, whatever is safe", 150_000, 300, {"age": 19, "each": 0}, 156_000),
    ("no more than was asked for", 238_000, 300, {"age": 19, "each": 0}, 240_000),
])
def test_the_rate_is_lowered_at_once_and_raised_by_steps(
    name: str, rate: float, ago: float, changes: dict[str, float], then: float
) -> None:
    situation = behind(1200, **changes, memory=held(rate, ago))
    situation = replace(situation, rates=known(2400, 100, drain=1200), observed=Arrival(1200, 1200))
    assert rate_of(steered(situation)) == then, name


def test_it_is_never_raised_over_what_was_asked_for() -> None:
    """1,250 were asked for."""
    situation = behind(1200, age=10, memory=held(120_000, 300, demand=1250))
    assert rate_of(steered(situation)) == 125_000
    assert rate_of(steered(replace(situation, memory=held(125_000, 300, demand=1250)))) == 125_000


def test_a_floor_that_was_raised_holds_at_once() -> None:
    policy = replace(POLICY, quotas=(replace(SHOP, min_bytes_per_second=130_000),))
    assert rate_of(steered(behind(1200, memory=held(ago=1)), policy)) == 130_000


@pytest.mark.parametrize(("interval", "seconds"), [(5, 30), (15, 30), (60, 120)])
def test_two_changes_are_two_polls_apart(interval: int, seconds: float) -> None:
    assert pause_seconds(Policy(max_replicas=1, polling_interval_seconds=interval)) == seconds


@pytest.mark.parametrize(("arrived", "ago", "is_weighed", "bytes_then"), [
    (900, 75, False, 133.3), (900, 74, False, 100), (900, 75, True, 100), (1500, 75, True, 80), (100, 75, False, 400),
    (0, 75, False, 100),
])
def test_the_first_minute_at_a_rate_weighs_a_record_anew_and_later_ones_only_downwards(
    arrived: float, ago: float, is_weighed: bool, bytes_then: float
) -> None:
    """120,000 bytes/s over what came through."""
    course = steered(behind(arrived, age=30, memory=held(ago=ago, is_weighed=is_weighed)))
    assert course.throttling is not None
    assert course.throttling.record_bytes == pytest.approx(bytes_then, abs=0.1)
    assert course.throttling.is_weighed is (is_weighed or ago >= 75)


# how it ends

@pytest.mark.parametrize(("age", "arrival", "calm", "is_released"), [
    (19, 950, 300, True), (19, 950, 299, False), (19, 970, 300, False), (21, 950, 300, False),
])
def test_it_ends_after_a_window_in_which_nobody_was_held_back(
    age: float, arrival: float, calm: float, is_released: bool
) -> None:
    """960 of 1,200 records/s are 0.8 of the rate."""
    course = steered(behind(arrival, age=age, memory=held(ago=10, calm_since=NOW - calm)))
    assert (course.is_released, course.throttle is None) == (is_released, is_released)


def test_a_rate_as_high_as_what_was_asked_for_holds_nobody_back_either() -> None:
    assert steered(behind(1200, age=10, memory=held(demand=1200, calm_since=NOW - 300))).is_released


@pytest.mark.parametrize("policy", [
    replace(POLICY, paused=True), replace(POLICY, mode=Mode.ADVISORY), replace(POLICY, quotas=()),
])
def test_it_ends_at_once_when_the_policy_no_longer_wants_it(policy: Policy) -> None:
    course = steered(behind(1200, age=10, memory=held()), policy)
    assert course.is_released
    assert course.throttling is None
    assert unseen(policy, held(), NOW).is_released


@pytest.mark.parametrize("policy", [replace(POLICY, paused=True), replace(POLICY, mode=Mode.ADVISORY)])
def test_who_only_wants_to_hear_of_it_hears_what_would_be(policy: Policy) -> None:
    course = steered(behind(), policy)
    assert course.throttle is not None
    assert course.throttling is None
    assert "would be held to 120,000 bytes/s" in course.why


@pytest.mark.parametrize(("seconds", "is_released"), [(0, False), (599, False), (600, True)])
def test_while_nothing_is_known_it_holds_for_ten_minutes(seconds: float, is_released: bool) -> None:
    course = unseen(POLICY, held(seen_at=NOW - seconds), NOW)
    assert course.is_released is is_released
    assert course.throttling == (None if is_released else held(seen_at=NOW - seconds).throttling)


def test_nobody_is_released_who_was_not_held() -> None:
    assert unseen(POLICY, Memory(), NOW) == Course()
    assert steered(behind(), replace(POLICY, quotas=())) == Course()


# who is told what

@pytest.mark.parametrize(("rate", "each"), [(120, 40), (200, 120), (240, 160), (60, 20)])
def test_each_broker_is_told_so_much_that_all_of_them_let_the_rate_through(rate: float, each: float) -> None:
    """The partitions of three brokers get 160, 40 and 40 of 240 bytes/s."""
    shares = {tp: {0: 160, 1: 40, 2: 40}[tp.partition] / 240 if tp.partition < 3 else 0.0 for tp in orders(12)}
    memory = held(rate, 1, demand=240, record_bytes=1.0)
    policy = replace(POLICY, quotas=(replace(SHOP, min_bytes_per_second=1),))
    course = steered(behind(100, memory=memory, shares=shares), policy)
    assert course.throttle is not None
    (quota,) = course.throttle.quotas
    assert (quota.client_id, quota.user) == ("shop", None)
    assert quota.bytes_per_broker == pytest.approx(each)


def test_entries_share_the_rate_by_their_floors() -> None:
    policy = replace(POLICY, quotas=(ProducerQuota(300, client_id="shop"), ProducerQuota(100, user="batch")))
    course = steered(behind(), policy)
    assert course.throttle is not None
    assert [(each.client_id, each.user) for each in course.throttle.quotas] == [("shop", None), (None, "batch")]
    assert [each.bytes_per_broker for each in course.throttle.quotas] == pytest.approx([30_000, 10_000])
    assert floor_of(policy) == 400


def test_brokers_are_told_anew_when_a_leader_moves_and_not_for_a_little() -> None:
    """All partitions on one broker: it gets it all."""
    situation = behind(1200, age=30, memory=held(ago=1, per_broker=(41_000.0,)))
    moved = replace(DETAILS, leaders=dict.fromkeys(orders(12), 7))
    told = [steered(replace(situation, details=details)).throttle for details in (DETAILS, moved, Details())]
    assert [each and round(each.quotas[0].bytes_per_broker) for each in told] == [41_000, 120_000, 41_000]


# what is counted with

@pytest.mark.parametrize(("arrived", "counts"), [(1200, 2400), (960, 2400), (959, 959), (3000, 3000)])
def test_producers_that_send_as_much_as_they_may_count_with_what_they_asked_for(arrived: float, counts: float) -> None:
    found = counted(Arrival(arrived, arrived, lasting=arrived), held().throttling)
    assert found == Arrival(counts, counts, lasting=counts)


def test_what_is_not_known_or_not_held_counts_as_it_is() -> None:
    assert counted(Unknown("one sample"), held().throttling) == Unknown("one sample")
    assert counted(Arrival(1200, 1300, 0.5), None) == Arrival(1200, 1300, 0.5)
