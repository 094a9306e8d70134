"""The objective by hand: 60 s, 12 partitions, 100 records/s a consumer, help in 30 + 15 s."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.capacity import Capacity, Rates
from kafka_consumer_scaler.core.memory import Memory, Peak, Scaled, Usual
from kafka_consumer_scaler.core.objective import age_ahead, by_age, lead_seconds
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.prediction import Plant
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, Member, Replicas, Unknown
from tests.core.making import NOW, even, known, members, orders

POLICY = Policy(max_replicas=12)
WHY = Unknown("not measured")


def wanted(situation: Situation, policy: Policy = POLICY) -> int:
    return by_age(policy, situation)[0]


def ahead(situation: Situation, policy: Policy = POLICY) -> float:
    assert not isinstance(situation.rates.arrival, Unknown)
    loads = situation.loads(situation.rates.arrival.average)
    assert not isinstance(loads, Unknown)
    return age_ahead(policy, situation, Plant(situation.spread, situation.assignor, 100.0), loads)


def test_help_comes_after_the_next_poll_and_the_joining() -> None:
    assert lead_seconds(POLICY, even(1, 350.0)) == 45.0
    quick = replace(even(1, 350.0), memory=Memory(join_seconds=12.0))
    assert lead_seconds(Policy(max_replicas=12, polling_interval_seconds=5), quick) == 17.0


@pytest.mark.parametrize(("age", "replicas"), [(12.0, 1), (12.85, 1), (12.86, 4), (13.0, 4), (30.0, 4)])
def test_one_replica_of_the_example_becomes_four_when_help_would_come_too_late(age: float, replicas: int) -> None:
    situation = even(1, 350.0, age)
    assert ahead(situation) == pytest.approx(age + 45 * (1 - 100 / 350)), "grows by 0.71 a second"
    assert wanted(situation) == replicas


def test_the_sentence_tells_rate_capacity_and_age() -> None:
    assert by_age(POLICY, even(1, 350.0, 13.0))[1] == (
        "350 records/s to be ready for and a consumer does 100; 45 s old before help could come")
    assert by_age(POLICY, even(12, 100.0))[1] == (
        "100 records/s to be ready for and a consumer does 100; at most 100 of late")


def test_the_forecast_counts_over_the_lead() -> None:
    """Half a minute allowed, 390 records/s in 45 s: 6,000 + 17,550 - 13,500 records are left, 25.8 s old."""
    strict, calm, rising = replace(POLICY, lag_seconds=30.0), even(3, 300.0, 20.0), known(300.0, 100.0, rise=2.0)
    assert wanted(calm, strict) == 3
    assert wanted(replace(calm, rates=rising), strict) == 6, "4 would leave 7,700 after 300 s, 19.7 s old"
    assert wanted(replace(calm, rates=known(300.0, 100.0, newest=390.0)), strict) == 6


def test_utilization_is_the_share_of_the_capacity_that_is_planned_with() -> None:
    assert wanted(even(1, 350.0, 30.0), replace(POLICY, utilization=0.5)) == 12, "6 would have 58 for 50"
    assert wanted(even(1, 240.0, 30.0), replace(POLICY, utilization=0.5)) == 6


@pytest.mark.parametrize(("age", "replicas"), [(64.2, 4), (64.3, 6)])
def test_a_backlog_older_than_the_objective_is_recovered_from_in_a_hurry(age: float, replicas: int) -> None:
    """After 30 s 4.3 s are made up: 59.9 s may take 300 s, 60.01 s have 120 s, in which 4 win 6,000 records."""
    assert wanted(even(4, 350.0, age)) == replicas


def test_a_shorter_recovery_of_the_user_is_kept_in_a_hurry() -> None:
    assert wanted(even(4, 350.0, 100.0), replace(POLICY, recovery_seconds=300.0)) == 6
    assert wanted(even(4, 350.0, 100.0), replace(POLICY, recovery_seconds=60.0)) == 12


def test_the_present_number_is_enough_when_it_recovers_in_time() -> None:
    assert wanted(even(4, 350.0, 60.0)) == 4, "51 s old before help, back under 36 s in 300 s"


def test_when_none_can_hold_it_more_than_useful_are_wanted() -> None:
    slow = replace(even(1, 350.0, 20.0), rates=known(350.0, 10.0))
    assert wanted(slow) == 41, "350 a second and 17,200 records in 300 s, at 10 a consumer"
    assert wanted(replace(slow, rates=known(350.0, 28.0))) == 15, "16,660 records"
    threads = replace(slow, spread=Spread((12,), threads=2))
    assert wanted(threads, replace(POLICY, consumer_threads=2)) == 21


def test_one_more_than_useful_is_the_least_that_says_that_none_can() -> None:
    """9 replicas allowed, thus 5 of 10 partitions: 500 for 700 records/s. 9 would do; 11 say that none can."""
    assert wanted(even(5, 700.0, 45.0, partitions=10), replace(POLICY, max_replicas=9)) == 11
    assert wanted(even(5, 700.0, 45.0, partitions=10), replace(POLICY, max_replicas=10)) == 10


def starting(joined: int, since: float) -> Situation:
    memory = Memory().with_scaled(1, 4, NOW - since)
    return replace(even(4, 350.0), group=members(joined), memory=memory)


def test_replicas_that_are_starting_help_once_they_have_joined() -> None:
    assert ahead(starting(1, since=10.0)) == pytest.approx((350 * 45 - 100 * 20 - 400 * 25) / 350)
    assert ahead(starting(4, since=10.0)) == 0.0
    assert ahead(replace(starting(1, since=10.0), group=Unknown("no coordinator"))) == 0.0


def test_replicas_that_should_have_joined_and_did_not_are_not_counted_on() -> None:
    assert ahead(starting(1, since=30.0)) == pytest.approx((350 * 45 - 100 * 45) / 350)
    assert ahead(starting(1, since=29.0)) == pytest.approx((350 * 45 - 100 * 1 - 400 * 44 + 1500 + 350) / 350, abs=6.0)


def test_members_beyond_our_own_do_not_count_as_ours() -> None:
    assert ahead(replace(even(1, 350.0), group=members(4))) == pytest.approx(45 * (1 - 100 / 350))


@pytest.mark.parametrize(("arrival", "replicas"), [(102.0, 1), (103.0, 2), (204.0, 2), (207.0, 3)])
def test_down_goes_to_the_fewest_that_stay_under_18_s_for_ten_minutes(arrival: float, replicas: int) -> None:
    """One consumer, 5 s of pause: 102 * 600 - 59,500 = 1,700 records, 16.7 s; 103: 2,300 records, 22 s."""
    assert wanted(even(12, arrival)) == replicas


def remembering(situation: Situation, peak: float, *scales: tuple[int, int, float]) -> Situation:
    memory = Memory(peaks=(Peak(NOW - 200, peak),))
    for before, after, ago in scales:
        memory = memory.with_scaled(before, after, NOW - ago)
    return replace(situation, memory=memory)


def test_down_is_measured_by_the_highest_arrival_of_the_window() -> None:
    assert wanted(remembering(even(12, 100.0), peak=500.0)) == 6
    assert wanted(remembering(even(12, 100.0), peak=700.0)) == 12
    old = replace(even(12, 100.0), memory=Memory(peaks=(Peak(NOW - 301, 700.0),)))
    assert wanted(old) == 1


def test_a_small_step_waits_where_a_larger_one_will_soon_be_allowed() -> None:
    assert wanted(remembering(even(6, 100.0), peak=350.0)) == 6, "4 now, 1 soon"
    assert wanted(remembering(even(6, 350.0), peak=350.0)) == 4
    assert wanted(remembering(even(12, 100.0), peak=500.0)) == 6, "half is no small step"


def test_no_step_down_is_taken_within_a_window_and_a_poll_after_a_scale_up() -> None:
    assert wanted(remembering(even(6, 350.0), 350.0, (4, 6, 314.0))) == 6
    assert wanted(remembering(even(6, 350.0), 350.0, (4, 6, 315.0))) == 4
    assert wanted(remembering(even(6, 350.0), 350.0, (12, 6, 60.0))) == 4, "it was no scale-up"
    assert wanted(remembering(even(12, 350.0), 350.0, (4, 12, 314.0))) == 12


def peaceful(arrival: float, replicas: int = 4, learned: bool = True) -> Situation:
    calm = replace(even(replicas, arrival), peace_seconds=300.0)
    return replace(calm, rates=known(arrival, 100.0, learned=learned))


@pytest.mark.parametrize(("arrival", "replicas"), [(368.0, 3), (369.0, 4)])
def test_after_a_window_of_peace_one_step_less_is_tried_if_it_keeps_the_objective(
    arrival: float, replicas: int
) -> None:
    """3 replicas, 300 s, 5 s of pause: (368 * 300 - 88,500) / 368 = 59.5 s."""
    assert wanted(peaceful(arrival)) == replicas
    assert wanted(replace(peaceful(arrival), peace_seconds=299.0)) == 4


def test_a_capacity_that_is_only_a_lower_bound_may_always_be_probed() -> None:
    bound = replace(peaceful(399.0, learned=False), peace_seconds=1500.0)
    assert wanted(bound) == 3
    assert wanted(replace(bound, peace_seconds=1499.0)) == 4


@pytest.mark.parametrize(("age", "replicas"), [(40.0, 1), (40.1, 12)])
def test_nothing_is_taken_away_while_a_rebalance_would_pass_the_share(age: float, replicas: int) -> None:
    """The oldest record and 5 s of pause: 45 s are 0.75 of the objective."""
    assert wanted(even(12, 50.0, age)) == replicas


def test_waking_from_zero_takes_one() -> None:
    assert wanted(even(0, 50.0)) == 1


def woken(newest: float, current: int = 0, since: float = 600.0) -> Situation:
    """300 records/s are usual; the last change was to 0, or from it to `current`."""
    memory = replace(Memory(usual=Usual(NOW - 900, 1800.0, 300.0)), scales=(Scaled(NOW - since, 4 - current, current),))
    if current:
        memory = replace(memory, scales=(Scaled(NOW - since, 0, current),))
    found = replace(even(current, newest, age=10.0), memory=memory)
    return replace(found, rates=known(newest / 4, 100.0, newest=newest))


@pytest.mark.parametrize(("newest", "replicas"), [(75.0, 4), (74.0, 1)])
def test_waking_from_zero_is_ready_for_the_usual_once_a_quarter_of_it_is_back(newest: float, replicas: int) -> None:
    assert wanted(woken(newest)) == replicas


@pytest.mark.parametrize(("since", "replicas"), [(119.0, 4), (120.0, 1)])
def test_a_group_is_waking_for_two_minutes(since: float, replicas: int) -> None:
    late = woken(75.0, current=1, since=since)
    tps = tuple(late.ages)
    assert wanted(replace(late, ages=dict.fromkeys(tps, 30.0), waiting=dict.fromkeys(tps, 750.0))) == replicas


def test_on_the_way_to_zero_no_step_is_made() -> None:
    silent, to_zero = even(4, 0.0), replace(POLICY, min_replicas=0)
    assert by_age(to_zero, silent) == (4, "nothing arrives, and once it is quiet for long enough none are wanted")
    assert wanted(silent) == 1
    assert wanted(even(4, 1.0), to_zero) == 1


def late_on_one(current: int, capacity: float, own: float = 1.0) -> Situation:
    """100,000 records of one partition that gets `own` wait; the eleven others get 10 records/s each, and keep up."""
    names, total = orders(12), 110.0 + own
    shares = {tp: (own if tp == names[0] else 10.0) / total for tp in names}
    waiting = {tp: 100_000.0 if tp == names[0] else 0.0 for tp in names}
    ages = {tp: 600.0 if tp == names[0] else 0.0 for tp in names}
    return replace(even(current, total, capacity=capacity), shares=shares, shares_newest=shares, waiting=waiting,
                   ages=ages)


@pytest.mark.parametrize(("capacity", "own", "replicas"), [
    (150.0, 1.0, 6), (1000.0, 1.0, 2), (150.0, 139.0, 6), (150.0, 145.0, 13)])
def test_no_more_is_asked_for_one_partition_than_makes_it_a_tenth_faster(
    capacity: float, own: float, replicas: int
) -> None:
    """At 2 replicas it has 150 - 50, at 6 140 of 150; of 1,000 it has 950. With 145 of its own, 140 never catch up
    and 150 not in time: more than there can be, as ever."""
    assert wanted(late_on_one(2, capacity, own)) == replicas


def test_why_there_is_room_for_a_hot_partition_is_told_without_the_step_down_that_was_not_tried() -> None:
    """A probe was due, and room is wanted: the sentence tells of the room alone."""
    hot = replace(with_a_hot_one(15.0), peace_seconds=1e6, rates=known(315.0, 100.0, learned=False))
    assert by_age(POLICY, hot)[1] == "315 records/s to be ready for and a consumer does 100; room for 1 hot"


def blind(age: float | Unknown, current: int = 3, lag: int = 10) -> Situation:
    """Nothing is known of the capacity; there was traffic."""
    names = orders(12)
    return replace(even(current, 100.0), rates=known(100.0, WHY), age=age, ages=dict.fromkeys(names, age),
                   lag=dict.fromkeys(names, lag))


@pytest.mark.parametrize(("age", "replicas"), [(45.0, 3), (45.1, 6), (500.0, 6)])
def test_without_a_capacity_what_is_too_old_doubles_the_replicas(age: float, replicas: int) -> None:
    assert wanted(blind(age)) == replicas
    assert wanted(blind(age, current=0)) == 1


def test_without_a_capacity_and_without_traffic_one_is_enough() -> None:
    assert wanted(blind(0.0, lag=0)) == 1
    assert wanted(remembering(blind(0.0, lag=0), peak=1.0)) == 3
    assert wanted(replace(blind(0.0), peace_seconds=1500.0)) == 2, "one step down is tried"
    assert wanted(blind(Unknown("only one sample"))) == 3


def test_what_cannot_be_known_changes_nothing() -> None:
    unknown_arrival = replace(even(3, 0.0), rates=Rates(WHY, WHY, Capacity(100.0, True)))
    assert by_age(POLICY, unknown_arrival) == (3, "arrival unknown: not measured")
    blurred = even(3, 800.0, 50.0)
    blurred = replace(blurred, ages={**blurred.ages, orders(12)[3]: WHY})
    assert by_age(POLICY, blurred) == (3, "age unknown: not measured")


def test_what_more_consumers_cannot_help_asks_for_none() -> None:
    tps = frozenset(orders(12))
    assert wanted(even(3, 800.0, 50.0)) == 12
    assert wanted(replace(even(3, 800.0, 50.0), stuck=tps)) == 1
    assert wanted(replace(even(3, 800.0, 50.0), hot=tps)) == 1


def with_a_hot_one(others: float, current: int = 3) -> Situation:
    """One partition gets 150 records/s, the eleven others so many each; nothing waits."""
    names, total = orders(12), 150 + 11 * others
    shares = {tp: (150 if tp == names[0] else others) / total for tp in names}
    return replace(even(current, total), shares=shares, shares_newest=shares, hot=frozenset(names[:1]))


@pytest.mark.parametrize(("others", "replicas"), [
    (3.1, 1), (3.2, 2), (7.0, 2), (7.1, 3), (11.6, 3), (11.7, 4), (17.5, 4), (17.6, 6), (35.1, 12)])
def test_a_hot_partition_is_kept_from_much_company(others: float, replicas: int) -> None:
    """It lacks 50 records/s alone, so beside it may be 30 and 5: eleven of 3.1, three of 11.6, one of 35."""
    assert wanted(with_a_hot_one(others)) == replicas
    assert wanted(replace(with_a_hot_one(others), hot=frozenset())) > 0


def bound_only(replicas: int, arrival: float, age: float, *, busy: bool = False) -> Situation:
    """A consumer is known to do 10 records/s, and no more than that is known."""
    found = even(replicas, arrival, age, capacity=10.0)
    return replace(found, rates=replace(found.rates, capacity=Capacity(10.0, learned=False, busy=busy)))


@pytest.mark.parametrize(("age", "replicas", "once_busy"), [(8.9, 1, 1), (15.0, 1, 6), (15.1, 6, 6)])
def test_a_lower_bound_alone_waits_a_poll_while_help_would_still_come_in_time(
    age: float, replicas: int, once_busy: int
) -> None:
    """15 s old and 45 s until help: 60 s, the objective."""
    assert wanted(bound_only(1, 50.0, age)) == replicas
    assert wanted(bound_only(1, 50.0, age, busy=True)) == once_busy


@pytest.mark.parametrize(("before", "ago", "age", "replicas"), [
    (2, 59, 5.0, 1), (2, 59, 5.1, 6), (2, 60, 5.0, 6), (0, 59, 0.0, 6),
])
def test_a_step_down_that_was_tried_is_not_taken_back_while_nothing_is_older_than_a_poll(
    before: int, ago: float, age: float, replicas: int
) -> None:
    """A lower bound alone, 35 s until help, and an objective of 30 s."""
    policy = replace(POLICY, lag_seconds=30, polling_interval_seconds=5)
    tried = replace(bound_only(1, 50.0, age), memory=Memory(scales=(Scaled(NOW - ago, before, 1),)))
    assert wanted(tried, policy) == replicas


def test_more_than_now_is_wanted_at_least_when_none_can_bring_the_age_back() -> None:
    assert wanted(even(20, 5000.0, 100.0)) >= 20


def test_no_step_down_is_taken_whose_pause_alone_would_pass_the_up_share() -> None:
    resting = even(6, 100.0)
    assert wanted(resting) == 1
    dear = Memory(pause_seconds=45.1).with_scaled(4, 6, NOW - 1000)
    assert wanted(replace(resting, memory=dear)) == 6


def test_the_assignor_tells_which_partitions_share_a_consumer() -> None:
    """Two partitions of 81 records/s, two of 9, two consumers: dealt in turn 90 each, in rows 162 and 18."""
    shares = dict(zip(orders(4), (0.45, 0.45, 0.05, 0.05), strict=True))
    waiting = {tp: share * 180 * 40 for tp, share in shares.items()}
    unseen = Unknown("the group was not described")
    skewed = replace(even(2, 180.0, 40.0, partitions=4), shares=shares, waiting=waiting, group=unseen)
    assert wanted(skewed) == 2
    assert wanted(replace(skewed, assignor="range")) > 2


def test_partitions_that_are_seen_to_share_a_consumer_count_together_whatever_the_assignor_is() -> None:
    """As above, and the members have them in rows."""
    shares = dict(zip(orders(4), (0.45, 0.45, 0.05, 0.05), strict=True))
    waiting = {tp: share * 180 * 40 for tp, share in shares.items()}
    skewed = replace(even(2, 180.0, 40.0, partitions=4), shares=shares, waiting=waiting)
    rows = (Member("m0", frozenset(orders(4)[:2])), Member("m1", frozenset(orders(4)[2:])))
    assert wanted(replace(skewed, group=Group("Stable", "cooperative-sticky", rows))) > 2


def test_no_room_for_a_hot_partition_changes_nothing() -> None:
    crowded, few = with_a_hot_one(55.1), replace(POLICY, max_replicas=2)
    assert by_age(few, crowded) == by_age(few, replace(crowded, shares_newest=dict.fromkeys(crowded.shares, 0.0)))


def test_room_for_a_hot_partition_takes_nothing_from_an_old_backlog() -> None:
    others = with_a_hot_one(5.1)
    old = replace(others, ages=dict.fromkeys(others.ages, 600.0), waiting=dict.fromkeys(others.waiting, 4000.0))
    assert wanted(others) == 2
    assert wanted(old) == 4


@pytest.mark.parametrize(("recovery", "replicas"), [(139.0, 4), (137.0, 6)])
def test_the_present_number_pays_no_rebalance(recovery: float, replicas: int) -> None:
    """350 * 60 - 30 * 50 = 19,500 records are left at 50 a second; 36 s are 12,600: 138 s."""
    slow = replace(even(4, 350.0, 60.0), memory=Memory(pause_seconds=40.0))
    assert wanted(slow, replace(POLICY, recovery_seconds=recovery)) == replicas


def test_one_replica_may_be_enough() -> None:
    assert wanted(even(1, 90.0, 60.0)) == 1


def test_spare_replicas_are_not_taken_away_when_none_can_hold_it() -> None:
    """15 would do by the sum; 20 are there, and more than 12 have nothing to do."""
    assert wanted(even(20, 1250.0, 50.0)) == 20


def test_before_any_commit_was_seen_nobody_can_tell_a_backlog_from_rare_commits() -> None:
    assert wanted(replace(blind(500.0), commit_interval=WHY)) == 3
    assert wanted(blind(500.0)) == 6


@pytest.mark.parametrize(("interval", "age", "replicas"), [(5.0, 600.0, 3), (5.0, 601.0, 6), (200.0, 800.0, 3)])
def test_after_a_single_commit_a_backlog_may_be_processed_and_not_committed(
    interval: float, age: float, replicas: int
) -> None:
    """Ten minutes are waited for the second commit, or four times as long as the first one took."""
    guessed = replace(blind(age), commit_interval=interval, is_interval_guessed=True)
    assert wanted(guessed) == replicas
    bound = replace(even(3, 350.0, age), commit_interval=5.0, is_interval_guessed=True)
    at_least = replace(bound, rates=replace(bound.rates, capacity=Capacity(100.0, learned=False)))
    assert (wanted(at_least) == 3) is (age <= 600.0)


def batch(replicas: int, records: float, ago: float, lag_seconds: float = 600.0) -> tuple[Situation, Policy]:
    """So many records that came at once, evenly on 12 partitions; nothing arrives any more."""
    names = orders(12)
    found = replace(
        even(replicas, 0.0), lag=dict.fromkeys(names, round(records / 12)), waiting=dict.fromkeys(names, records / 12),
        ages=dict.fromkeys(names, ago), marks=dict.fromkeys(names, ((records / 12, ago),)), age=ago)
    return found, replace(POLICY, lag_seconds=lag_seconds)


@pytest.mark.parametrize(("records", "ago", "replicas"), [
    (40_000, 15.0, 1), (50_000, 15.0, 1), (54_000, 15.0, 2), (120_000, 15.0, 3), (200_000, 130.0, 12)])
def test_a_batch_is_processed_in_time_though_nothing_arrives_any_more(
    records: float, ago: float, replicas: int
) -> None:
    """100 records/s each, an objective of 600 s: 54,000 take one replica 540 s, and it is asked for 0.9 of 600."""
    assert wanted(*batch(1, records, ago)) == replicas


def test_a_batch_says_why_more_are_wanted() -> None:
    found, policy = batch(1, 200_000, 130.0)
    assert by_age(policy, found)[1] == "the last record of the backlog would be 2,130 s old when processed"


def test_a_lower_bound_of_the_capacity_does_not_say_that_a_batch_will_be_late() -> None:
    found, policy = batch(1, 200_000, 130.0)
    assert wanted(replace(found, rates=known(0.0, 100.0, learned=False)), policy) == 1


def test_no_step_is_made_down_to_what_would_process_a_batch_too_late() -> None:
    """36,000 records that are 20 s old: 6 replicas need 60 s, 1 needs 360, and an objective of 400 s allows 300."""
    found, policy = batch(6, 36_000, 20.0, 400.0)
    assert wanted(found, policy) == 2


def test_a_step_lasts_for_four_pauses_of_a_rebalance() -> None:
    """A consumer that begins its record of ten minutes again: 100 s of arrivals are late after 600 s without work."""
    assert wanted(even(6, 100.0)) == 1
    slow = replace(POLICY, lag_seconds=3600.0)
    jobs = replace(even(6, 1 / 120, capacity=1 / 600, age=300.0))
    assert wanted(jobs, slow) == 6


@pytest.mark.parametrize(("age", "replicas"), [(59.0, 3), (143.0, 3), (145.0, 4)])
def test_commits_further_apart_than_the_objective_are_the_objective(age: float, replicas: int) -> None:
    """Of 350 records/s 3 consumers leave 50, so the age grows by 6 s until help comes; 150 s are 0.75 of 200 s."""
    old = replace(even(3, 350.0, age), commit_interval=200.0)
    assert wanted(old) == replicas
    assert by_age(POLICY, old)[1].endswith(
        "commits are 200 s apart: an age of 60 s cannot be seen, 200 s are kept; commit more often, or raise "
        "target.lagSeconds")


@pytest.mark.parametrize(("capacity", "replicas"), [
    (Capacity(100.0, learned=True), 4), (Capacity(100.0, learned=False, busy=True), 12),
    (Capacity(100.0, learned=False), 12), (WHY, 12)])
def test_where_commits_hide_the_objective_a_step_down_takes_a_learned_capacity(
    capacity: Capacity | Unknown, replicas: int
) -> None:
    calm = even(12, 350.0)
    unsure = replace(calm, rates=replace(calm.rates, capacity=capacity), commit_interval=200.0)
    assert wanted(unsure) == replicas


@pytest.mark.parametrize(("pause", "ago", "replicas"), [
    (240.0, 3600.0, 12), (240.0, 3601.0, 6), (60.0, 3600.0, 12), (60.0, 3601.0, 6)])
def test_a_step_down_whose_rebalance_makes_records_late_is_risked_once_in_an_hour(
    pause: float, ago: float, replicas: int
) -> None:
    """6 consumers process in one pause what arrives in two, 250 of their 600 records/s; 4 do not."""
    memory = Memory(pause_seconds=pause).with_scaled(8, 12, NOW - ago)
    assert wanted(replace(even(12, 250.0), memory=memory)) == replicas


def test_before_a_scale_up_was_seen_help_takes_as_long_as_a_pod_took_to_start() -> None:
    for start, lead in ((None, 45.0), (12.0, 45.0), (60.0, 45.0), (61.0, 76.0), (720.0, 735.0)):
        assert lead_seconds(POLICY, replace(even(3, 350.0), replicas=Replicas(3, 3, start_seconds=start))) == lead
    measured = replace(even(3, 350.0), memory=Memory(join_seconds=22.0), replicas=Replicas(3, 3, start_seconds=720.0))
    assert lead_seconds(POLICY, measured) == 37.0


@pytest.mark.parametrize("lag_seconds", [1200.0, 6000.0])
def test_fewer_replicas_keep_a_long_objective_for_half_of_it(lag_seconds: float) -> None:
    """One leaves 270 of 370 records/s: the age is 438 s after 600 s, but 2,189 s after 3,000 s; 1,800 s are allowed."""
    assert wanted(even(12, 370.0), replace(POLICY, lag_seconds=lag_seconds)) == 2


@pytest.mark.parametrize(("drain", "replicas"), [(296.0, 6), (295.0, 12)])
def test_no_step_down_is_tried_while_a_backlog_grows(drain: float, replicas: int) -> None:
    """At least 0.8 of the 370 records/s have to be processed; 4 consumers of 30 records/s cannot be enough."""
    growing = replace(even(12, 370.0), peace_seconds=9000.0, rates=known(370.0, 30.0, drain, learned=False))
    assert wanted(growing) == replicas
