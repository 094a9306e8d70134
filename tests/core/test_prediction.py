"""The fluid model: one partition by hand, a consumer's fair shares, a group."""

from __future__ import annotations

from math import inf

import pytest

from kafka_consumer_scaler.core.assignment import Spread
from kafka_consumer_scaler.core.prediction import Load, Loads, Plant, fair_share, oldest
from tests.core.making import orders

P0, P1 = orders(2)


def test_what_is_processed_as_fast_as_it_came_keeps_its_age() -> None:
    for seconds in (1.0, 10.0, 1000.0):
        assert Load(2000.0, 20.0, 100.0).after(seconds, 100.0 * seconds).age == pytest.approx(20.0)


def test_a_third_of_the_arrival_leaves_records_of_two_thirds_of_the_time() -> None:
    assert Load(0.0, 0.0, 300.0).after(30.0, 3000.0) == Load(6000.0, 20.0, 300.0)


@pytest.mark.parametrize(("done", "left"), [
    (0.0, Load(3000.0, 30.0, 100.0, ((2000.0, 10.0),))),
    (1000.0, Load(2000.0, 20.0, 100.0, ((1000.0, 10.0),))),
    (2000.0, Load(1000.0, 10.0, 100.0)),
    (2500.0, Load(500.0, 5.0, 100.0)),
    (3000.0, Load(0.0, 0.0, 100.0)),
    (9000.0, Load(0.0, 0.0, 100.0)),
])
def test_the_head_moves_through_the_backlog_and_then_through_what_came(done: float, left: Load) -> None:
    assert Load(2000.0, 20.0, 100.0).after(10.0, done) == left


def test_a_dense_old_backlog_keeps_its_age_longer_than_its_size_says() -> None:
    left = Load(2000.0, 1.0, 10.0).after(10.0, 1000.0)
    assert left == Load(1100.0, 10.5, 10.0, ((1000.0, 10.0),)), "half of what is 1 s old is left"


BATCH = Load(1000.0, 100.0, 0.0, ((1000.0, 100.0),))
"""1,000 records that arrived at once 100 s ago."""


def test_a_batch_is_as_old_at_its_end_as_at_its_head() -> None:
    assert BATCH.age_at(500.0) == 100.0
    assert BATCH.after(50.0, 500.0) == Load(500.0, 150.0, 0.0, ((500.0, 150.0),))


def test_between_two_ends_that_were_seen_records_arrived_evenly() -> None:
    load = Load(300.0, 60.0, 10.0, ((100.0, 40.0), (200.0, 40.0)))
    ages = [load.age_at(ahead) for ahead in (0.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0)]
    assert ages == [60, 50, 40, 40, 40, 20, 0]


def test_the_last_record_of_a_batch_is_done_when_all_of_it_is() -> None:
    loads = {P0: BATCH}
    assert Plant(Spread((1,)), "range", 10.0).oldest_done(loads, 1) == 200.0
    assert Plant(Spread((1,)), "range", 10.0).oldest_done(loads, 1, pause=5.0) == 205.0


def test_a_record_waits_for_those_that_its_consumer_comes_to_before() -> None:
    """Backlogs of 500 and 3,000, 100 records/s: 1,000 of both, then the rest of the second, 35 s in all."""
    loads = {P0: Load(500.0, 0.0, 0.0), P1: Load(3000.0, 0.0, 0.0)}
    assert Plant(Spread((2,)), "roundrobin", 100.0).oldest_done(loads, 1) == 35.0
    assert Plant(Spread((2,)), "roundrobin", 100.0).oldest_done(loads, 2) == 30.0


def test_without_consumers_nothing_is_ever_done() -> None:
    assert Plant(Spread((1,)), "range", 10.0).oldest_done({P0: BATCH}, 0) == inf
    assert Plant(Spread((1,)), "range", 10.0).oldest_done({P0: Load(0.0, 0.0, 5.0)}, 0) == 0.0


def test_the_partitions_of_a_consumer_are_those_that_were_seen() -> None:
    """Three partitions of 50 records/s and one of none; an even deal gives each of two consumers two of them."""
    loads = {tp: Load(0.0, 0.0, rate) for tp, rate in zip(orders(4), (50.0, 50.0, 50.0, 0.0), strict=True)}
    seen = (orders(4)[:3], orders(4)[3:])
    rates = {tp: load.arrival for tp, load in loads.items()}
    assert Plant(Spread((4,)), "uniform", 100.0).busiest(rates, 2) == 100.0
    assert Plant(Spread((4,)), "uniform", 100.0, seen, 2).busiest(rates, 2) == 150.0
    assert Plant(Spread((4,)), "uniform", 100.0, seen, 2).busiest(rates, 4) == 50.0, "of four it is not known"


def test_a_backlog_without_arrival_ages_until_it_is_gone() -> None:
    assert Load(100.0, 50.0, 0.0).after(10.0, 50.0) == Load(50.0, 35.0, 0.0, ((50.0, 10.0),))
    assert Load(100.0, 50.0, 0.0).after(10.0, 100.0) == Load(0.0, 0.0, 0.0)
    assert Load(0.0, 0.0, 5.0).after(10.0, 0.0) == Load(50.0, 10.0, 5.0)


def test_the_oldest_record_of_nothing_is_new() -> None:
    assert oldest({}) == 0.0
    assert oldest({tp: Load(1.0, age, 1.0) for tp, age in zip(orders(2), (3.0, 7.0), strict=True)}) == 7.0


@pytest.mark.parametrize(("needs", "capacity", "share"), [
    ((10.0, 20.0, 90.0), 100.0, 70.0),
    ((90.0, 10.0, 20.0), 100.0, 70.0),
    ((50.0, 50.0), 100.0, 50.0),
    ((50.0, 50.0), 99.0, 49.5),
    ((10.0, 20.0), 100.0, 20.0),
    ((40.0, 40.0, 40.0), 0.0, 0.0),
    ((), 100.0, 0.0),
])
def test_what_one_does_not_need_goes_to_the_others(
    needs: tuple[float, ...], capacity: float, share: float
) -> None:
    assert fair_share(needs, capacity) == share
    assert sum(min(need, share) for need in needs) == pytest.approx(min(sum(needs), capacity))


def loads(lag: float, age: float, *arrivals: float) -> Loads:
    return {tp: Load(lag, age, arrival) for tp, arrival in zip(orders(len(arrivals)), arrivals, strict=True)}


FOUR = Plant(Spread((4,)), "cooperative-sticky", 100.0)


def test_no_time_changes_nothing() -> None:
    before = loads(10.0, 1.0, 5.0, 5.0)
    assert FOUR.after(before, 0.0, 1) is before
    assert FOUR.after(before, -5.0, 1) is before


def test_without_consumers_everything_waits() -> None:
    assert FOUR.after(loads(0.0, 0.0, 10.0, 20.0), 30.0, 0) == {
        orders(2)[0]: Load(300.0, 30.0, 10.0), orders(2)[1]: Load(600.0, 30.0, 20.0)}


def test_a_pause_costs_processing_and_no_arrivals() -> None:
    one = loads(0.0, 0.0, 150.0)
    assert FOUR.worst_age(one, 30.0, 1) == pytest.approx((4500 - 3000) / 150)
    assert FOUR.worst_age(one, 30.0, 1, pause=15.0) == pytest.approx((4500 - 1500) / 150)
    assert FOUR.worst_age(one, 30.0, 1, pause=60.0) == 30.0


def test_two_consumers_share_four_partitions_as_the_assignor_deals_them() -> None:
    uneven = loads(0.0, 0.0, 90.0, 10.0, 90.0, 10.0)
    by_turns = FOUR.after(uneven, 10.0, 2)
    assert [round(by_turns[tp].age, 6) for tp in orders(4)] == [round(400 / 90, 6), 0.0, round(400 / 90, 6), 0.0]
    in_rows = Plant(Spread((4,)), "range", 100.0).after(uneven, 10.0, 2)
    assert oldest(in_rows) == 0.0, "90 and 10 for each"


def test_the_order_of_what_is_dealt_to_range_is_that_of_the_partitions() -> None:
    five = loads(0.0, 0.0, 0.0, 0.0, 60.0, 60.0, 60.0)
    found = Plant(Spread((5,)), "range", 100.0).after(five, 10.0, 2)
    assert [found[tp].lag for tp in orders(5)] == [0.0, 0.0, 0.0, 100.0, 100.0], "0 1 2 | 3 4"


def test_it_holds_up_to_the_limit_itself() -> None:
    four = loads(0.0, 0.0, 150.0)
    assert FOUR.worst_age(four, 30.0, 1) == 10.0
    assert FOUR.holds(four, 30.0, 1, 0.0, 10.0)
    assert not FOUR.holds(four, 30.0, 1, 0.0, 9.99)
    assert FOUR.holds(four, 5.0, 1, 0.0, 10.0), "shorter than the limit: nothing can be told without dealing"


def test_threads_and_foreign_members_count_as_consumers() -> None:
    four = loads(0.0, 0.0, *[100.0] * 4)
    assert Plant(Spread((4,), threads=2), "sticky", 100.0).worst_age(four, 60.0, 2) == 0.0
    assert Plant(Spread((4,), threads=1, foreign=3), "sticky", 100.0).worst_age(four, 60.0, 1) == 0.0
    assert Plant(Spread((4,), threads=1), "sticky", 100.0).worst_age(four, 60.0, 1) == 45.0


def test_the_company_of_a_hot_partition_is_what_its_consumer_gets_beside_it() -> None:
    """Twelve partitions, 436 records/s: one gets 150, the others 26 each."""
    shares = {tp: (150 if index == 0 else 26) / 436 for index, tp in enumerate(orders(12))}
    plant, hot = Plant(Spread((12,)), "cooperative-sticky", 100.0), frozenset(orders(1))
    assert [round(plant.company(shares, hot, n) * 436) for n in (1, 3, 6, 12)] == [286, 78, 26, 0]
    assert plant.company(shares, hot, 0) == plant.company(shares, hot, 1)


def test_a_second_changes_the_loads() -> None:
    loads = {orders(1)[0]: Load(0.0, 0.0, 100.0)}
    assert Plant(Spread((1,)), "range", 50.0).after(loads, 1.0, 1) == {orders(1)[0]: Load(50.0, 0.5, 100.0)}


@pytest.mark.parametrize(("assignor", "company"), [("range", 0.3), ("uniform", 0.1)])
def test_the_company_of_a_hot_partition_is_dealt_by_the_assignor(assignor: str, company: float) -> None:
    shares = dict(zip(orders(4), (0.5, 0.3, 0.1, 0.1), strict=True))
    assert Plant(Spread((4,)), assignor, 100.0).company(shares, frozenset(orders(1)), 2) == company


@pytest.mark.parametrize(("pause", "held"), [(0.0, True), (5.0, False)])
def test_a_pause_counts_within_the_limit_too(pause: float, held: bool) -> None:
    """1,000 records, the oldest 15 s old, 100 a second come and go: 10 s old after 10 s, 17.5 s with half lost."""
    loads = {orders(1)[0]: Load(1000.0, 15.0, 100.0)}
    assert Plant(Spread((1,)), "range", 100.0).holds(loads, 10.0, 1, pause, 15.0) is held
