"""What a situation says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.memory import Ineffective, Memory, TakenBack
from kafka_consumer_scaler.core.prediction import Load
from kafka_consumer_scaler.core.rates import Arrival
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, Member, Replicas, TopicPartition, Unknown
from tests.core.making import NOW, even, orders

SIX = even(6, arrival=300.0, age=4.0)


def remembering(memory: Memory) -> Situation:
    return replace(SIX, memory=memory)


def test_lag_counts_stuck_partitions_too() -> None:
    assert SIX.lag_records == 1200
    assert replace(SIX, stuck=frozenset(orders(3))).lag_records == 1200


def test_members_are_those_of_the_group() -> None:
    why = Unknown("no coordinator")
    assert SIX.members == 6
    assert replace(SIX, group=why).members is why
    assert replace(SIX, replicas=Replicas(5, 7)).current == 5


def test_joining_takes_30_s_until_it_was_measured() -> None:
    assert SIX.join_seconds == 30.0
    assert remembering(Memory(join_seconds=12.0)).join_seconds == 12.0


def test_a_rebalance_costs_5_s_where_only_moved_partitions_pause_and_else_10_s_until_it_was_measured() -> None:
    assert SIX.pause_seconds == 5.0
    assert replace(SIX, assignor="uniform").pause_seconds == 5.0
    assert replace(SIX, assignor="range").pause_seconds == 10.0
    assert replace(SIX, assignor="sticky").pause_seconds == 10.0
    assert remembering(Memory(pause_seconds=0.25)).pause_seconds == 0.25


def test_a_rebalance_costs_at_least_the_record_that_is_in_work() -> None:
    """A consumer that loses its partition begins its record of ten minutes again."""
    jobs = replace(SIX.rates, capacity=Capacity(1 / 600, learned=True))
    assert replace(SIX, rates=jobs).pause_seconds == pytest.approx(600.0)


def test_the_time_since_the_last_change_counts_from_the_newest() -> None:
    assert remembering(Memory().with_scaled(1, 2, NOW - 90).with_scaled(2, 6, NOW - 20)).since_scaled == 20.0


def taken_back(replicas: int, arrival: float, until: float) -> Situation:
    return remembering(Memory(taken_back=TakenBack(replicas, arrival, NOW - 100, 1, until)))


def test_replicas_that_were_too_few_are_so_for_such_a_load_until_the_time_is_over() -> None:
    assert SIX.too_few == 0
    assert taken_back(4, 300.0, NOW + 1).too_few == 4
    assert taken_back(4, 300.0, NOW).too_few == 0


def test_a_load_under_four_fifths_is_another_load() -> None:
    load = SIX.rates.arrival
    assert isinstance(load, Arrival)
    assert taken_back(4, load.average / 0.79, NOW + 1).too_few == 0
    assert taken_back(4, load.average / 0.81, NOW + 1).too_few == 4


def withdrawn(until: float, tried: int) -> Situation:
    return remembering(Memory(ineffective=Ineffective(3, until, 1, tried, 300.0, 305.0)))


def test_a_withdrawal_holds_while_its_back_off_lasts() -> None:
    assert withdrawn(NOW + 1, tried=6).withdrawn_to == 3
    assert withdrawn(NOW, tried=6).withdrawn_to is None
    assert SIX.withdrawn_to is None


def test_the_replicas_that_did_not_help_are_the_ones_to_be_withdrawn() -> None:
    assert withdrawn(NOW + 1, tried=6).is_withdrawn
    assert not withdrawn(NOW + 1, tried=7).is_withdrawn
    assert not withdrawn(NOW, tried=6).is_withdrawn
    assert not SIX.is_withdrawn


def test_loads_leave_out_what_more_consumers_cannot_help() -> None:
    tps = orders(12)
    found = replace(SIX, stuck=frozenset({tps[0]}), hot=frozenset({tps[1]})).loads(600.0)
    assert found == dict.fromkeys(tps[2:], Load(100.0, 4.0, 50.0))


def test_loads_are_unknown_when_an_age_is_unless_it_is_that_of_a_stuck_one() -> None:
    why, tps = Unknown("only one sample"), orders(12)
    blurred = replace(SIX, ages={**SIX.ages, tps[2]: why})
    assert blurred.loads(600.0) is why
    assert not isinstance(replace(blurred, stuck=frozenset({tps[2]})).loads(600.0), Unknown)


def test_a_partition_without_a_share_gets_nothing() -> None:
    tp = orders(12)[5]
    shares = {each: share for each, share in SIX.shares.items() if each != tp}
    found = replace(SIX, shares=shares).loads(600.0)
    assert not isinstance(found, Unknown)
    assert found[tp].arrival == 0.0


def holding(*hands: tuple[TopicPartition, ...], replicas: int = 2) -> Situation:
    """Members with these partitions; those of `orders` count."""
    group = Group("Stable", "uniform", tuple(Member(f"m{n}", frozenset(hand)) for n, hand in enumerate(hands)))
    return replace(SIX, group=group, replicas=Replicas(replicas, replicas))


VIEWS = TopicPartition("views", 0)


def test_members_that_hold_other_topics_alone_are_ours_where_replicas_bring_as_many() -> None:
    assert holding(orders(12), (VIEWS,)).members == 2
    assert holding(orders(12), (VIEWS,), replicas=1).members == 1, "one of them is not ours"


def test_consumers_of_topics_that_are_not_declared_do_something_else_too() -> None:
    assert holding((*orders(12), VIEWS)).reads_other_topics
    assert not holding(orders(12), (VIEWS,)).reads_other_topics, "another member does"
    assert not replace(SIX, group=Unknown("no coordinator")).reads_other_topics


def test_the_plant_has_the_hands_that_were_seen_once_all_have_joined() -> None:
    uneven = holding(orders(12)[:9], orders(12)[9:])
    assert [len(hand) for hand in uneven.plant(100.0).seen] == [9, 3]
    assert replace(uneven, replicas=Replicas(3, 3)).plant(100.0).seen == (), "one is missing"
    assert holding(orders(12)[:9], ()).plant(100.0).seen == (), "three partitions have nobody"


def test_records_held_back_wait_too() -> None:
    quiet = replace(SIX, waiting=dict.fromkeys(SIX.waiting, 0.0))
    assert not quiet.waits
    assert replace(quiet, held={"orders": 600.0}).waits
