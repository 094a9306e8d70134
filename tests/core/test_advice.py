"""Advice: which measurements support which, and nothing else; in which words, and with what gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.advice import RULES, Advice, advise
from kafka_consumer_scaler.core.assignment import Spread, spread
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.membership import Unrest
from kafka_consumer_scaler.core.memory import Ineffective, Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Details, TopicPartition, Unknown
from tests.core.making import NOW, even, known, orders

POLICY = Policy(max_replicas=12)
TPS = orders(12)
CALM = even(2, 1500.0, capacity=1000.0)
NOT_SEEN = Unknown("not measured")


def sized(size: float, arrival: float, replicas: int = 2) -> Situation:
    return replace(even(replicas, arrival, capacity=1000.0), details=Details(record_bytes={"orders": size}))


def uneven(share: float, replicas: int = 6, arrival: float = 150.0, capacity: float = 250.0) -> Situation:
    shares = dict.fromkeys(TPS, (1 - share) / 11) | {TPS[3]: share}
    return replace(even(replicas, arrival, capacity=capacity), shares=shares)


def eager(pause: float | None = None, left: int = 0, rebalancing: float = 0.0, assignor: str = "range") -> Situation:
    return replace(CALM, assignor=assignor, memory=Memory(pause_seconds=pause), unrest=Unrest(left, rebalancing))


def two_topics(arrival: float, assignor: str = "range", replicas: int = 8) -> Situation:
    """12 partitions of a topic and 4 of another, so that the busiest of 12 consumers has 2 under range."""
    names = (*TPS, *(TopicPartition("refunds", number) for number in range(4)))
    shares = dict.fromkeys(names, 1 / 16)
    return replace(even(replicas, arrival, capacity=1000.0), assignor=assignor, spread=spread(names, assignor, 1),
                   lag=dict.fromkeys(names, 0), waiting=dict.fromkeys(names, 0.0), ages=dict.fromkeys(names, 0.0),
                   shares=shares, shares_newest=shares)


def withdrawn(situation: Situation) -> Situation:
    return replace(situation, memory=Memory(ineffective=Ineffective(3, NOW + 60, 1, 6, 300.0, 305.0)))


CASES: Mapping[str, tuple[Situation, set[str]]] = {
    "calm": (CALM, set()),
    "idle": (even(1, 0.0, capacity=1000.0), set()),
    "nothing known": (replace(CALM, rates=known(NOT_SEEN, NOT_SEEN), commit_interval=NOT_SEEN), set()),
    "a lower bound": (replace(even(6, 500.0), rates=known(500.0, 100.0, learned=False)), set()),
    "slow": (even(6, 350.0), {"slow_records"}),
    "slow, and one consumer is enough": (even(1, 100.0), set()),
    "5 ms a record": (even(3, 550.0, capacity=200.0), set()),
    "just over 5 ms a record": (even(3, 550.0, capacity=199.0), {"slow_records"}),
    "as much as all partitions": (even(12, 12_000.0, capacity=1000.0), set()),
    "more than all partitions": (even(12, 12_001.0, capacity=1000.0), {"more_partitions"}),
    "more, and more consumers did not help": (withdrawn(even(12, 12_001.0, capacity=1000.0)), set()),
    "7 of 12 needed, 12 run": (even(12, 6_500.0, capacity=1000.0), {"uneven_partitions"}),
    "7 of 12 needed, 6 run": (even(6, 6_500.0, capacity=1000.0), set()),
    "10 of 12 needed, 12 run": (even(12, 9_500.0, capacity=1000.0), set()),
    "9 of 12 needed, 12 run": (even(12, 8_500.0, capacity=1000.0), {"uneven_partitions"}),
    "6 of 12 needed, 6 run": (even(6, 5_500.0, capacity=1000.0), set()),
    "1 of 3 needed, 3 run": (even(3, 500.0, partitions=3, capacity=1000.0), set()),
    "7 of 12 needed, of two threads each": (
        replace(even(12, 6_500.0, capacity=1000.0), spread=Spread((12,), 2)), set()),
    "7 of 12 needed, and another works on them": (
        replace(even(12, 6_500.0, capacity=1000.0), spread=Spread((12,), 1, 1)), set()),
    "7 of 12 needed, and four of another topic": (two_topics(6_500.0, replicas=12), set()),
    "an arrival that is not known": (replace(CALM, rates=known(NOT_SEEN, 1000.0)), set()),
    "an arrival of two topics that is not known": (
        replace(two_topics(8_001.0), rates=known(NOT_SEEN, 1000.0)), set()),
    "a capacity that is not known": (replace(two_topics(8_001.0), rates=known(8_001.0, NOT_SEEN)), set()),
    "a capacity of nothing": (even(2, 1500.0, capacity=0.0), set()),
    "one topic by range": (
        replace(even(12, 12_001.0, capacity=1000.0), assignor="range", spread=spread(TPS, "range", 1)),
        {"more_partitions"}),
    "two topics apart by an assignor that is not range": (
        replace(two_topics(8_001.0), assignor="custom"), set()),
    "topics apart": (two_topics(8_001.0), {"topics_divided_apart"}),
    "topics apart, and enough": (two_topics(8_000.0), set()),
    "topics together": (two_topics(8_001.0, "cooperative-sticky"), set()),
    "topics apart, and too few partitions": (two_topics(16_001.0), {"topics_divided_apart", "more_partitions"}),
    "a partition with a fifth": (uneven(0.2), {"uneven_keys"}),
    "a partition with a sixth": (uneven(0.166), set()),
    "a partition with exactly two even shares": (uneven(1 / 6), {"uneven_keys"}),
    "a gain of exactly a quarter": (
        replace(uneven(0.3125, replicas=4), hot=frozenset({TPS[3]})), {"uneven_keys"}),
    "a partition with a fifth, nobody runs": (uneven(0.2, replicas=0), set()),
    "no share known": (replace(uneven(0.2), shares={}, backlog=Backlog.BEHIND), set()),
    "a partition with a fifth, one replica": (uneven(0.2, replicas=1), set()),
    "a partition with a fifth, no arrival": (uneven(0.2, arrival=0.0), set()),
    "a poll of 150 s": (replace(even(1, 0.4, capacity=0.5), commit_interval=150.0), {"slow_polls", "rare_commits"}),
    "a poll of 149 s": (replace(even(1, 0.4, capacity=0.5), commit_interval=149.0), {"rare_commits"}),
    "500 records in 125 s": (replace(even(1, 3.0, capacity=4.0), commit_interval=150.0), {"rare_commits"}),
    "small fetches": (sized(1000.0, 40.0), {"small_fetches"}),
    "small fetches of one consumer": (sized(1000.0, 40.0, replicas=1), {"small_fetches"}),
    "few fetches": (sized(1000.0, 39.0), set()),
    "large fetches": (sized(5000.0, 40.0), set()),
    "small fetches, behind": (replace(sized(1000.0, 40.0), backlog=Backlog.BEHIND), set()),
    "small fetches of another topic": (
        replace(sized(1000.0, 40.0), details=Details(record_bytes={"refunds": 9.0})), set()),
    "commits every 20 s": (replace(CALM, commit_interval=20.0), {"rare_commits"}),
    "commits every 19 s": (replace(CALM, commit_interval=19.0), set()),
    "a pause of 10 s": (eager(10.0), {"costly_rebalances"}),
    "a pause of 9 s": (eager(9.0), set()),
    "a pause that was not measured": (eager(), set()),
    "3 members left": (eager(left=3), {"costly_rebalances"}),
    "2 members left": (eager(left=2), set()),
    "rebalances in 0.3 of the looks": (eager(rebalancing=0.3), {"costly_rebalances"}),
    "rebalances in a third of the looks": (eager(rebalancing=0.33), {"costly_rebalances"}),
    "cooperative": (eager(60.0, 9, 0.9, "cooperative-sticky"), set()),
    "no assignor known": (eager(60.0, 9, 0.9, ""), set()),
    "small records": (sized(200.0, 2000.0), {"small_records"}),
    "records of 201 bytes": (sized(201.0, 2000.0), set()),
    "records of 68 bytes": (sized(68.0, 4000.0), {"small_records"}),
    "records that share a batch": (sized(67.0, 4000.0), set()),
    "a hundred small records": (
        replace(even(2, 100.0, partitions=1, capacity=1000.0), details=Details(record_bytes={"orders": 110.0}),
                backlog=Backlog.BEHIND), {"small_records"}),
    "few small records": (sized(110.0, 39.0), set()),
    "a compacted topic": (replace(CALM, details=Details(compacted=frozenset({"orders"}))), {"compacted_topics"}),
    "a compacted topic of another group": (replace(CALM, details=Details(compacted=frozenset({"mails"}))), set()),
}


@pytest.mark.parametrize("case", CASES)
def test_each_rule_speaks_when_the_measurements_support_it_and_only_then(case: str) -> None:
    situation, expected = CASES[case]
    told = {rule.__name__: rule(POLICY, situation) is not None for rule in RULES}
    assert told == {rule.__name__: rule.__name__ in expected for rule in RULES}


def test_every_rule_has_a_case_that_speaks() -> None:
    assert {rule.__name__ for rule in RULES} == set().union(*(expected for _, expected in CASES.values()))


def only(situation: Situation, policy: Policy = POLICY) -> Advice:
    (found,) = advise(policy, situation)
    return found


def test_slow_records_tell_the_time_of_one_and_the_consumers_it_costs() -> None:
    found = only(even(6, 350.0, capacity=40.0))
    assert found.about == "processing"
    assert found.evidence == "one consumer does 40 records/s: 25 ms a record"
    assert found.gain == "in half the time a record, 5 instead of 9 consumers keep up"


@pytest.mark.parametrize(("arrival", "gain"), [(199.1, "1 instead of 2"), (550.0, "2 instead of 3")])
def test_slow_records_promise_fewer_consumers_than_there_are(arrival: float, gain: str) -> None:
    assert gain in only(even(3, arrival, capacity=199.0)).gain


def test_more_partitions_tell_how_many() -> None:
    found = only(even(12, 13_200.0, capacity=1000.0))
    assert found.evidence == (
        "13,200 records/s arrive, and 12 partitions let no more than 12 consumers work, which do 12,000")
    assert found.remedy == "have at least 14 partitions, or faster consumers"
    assert found.gain == "up to 1.1 times"


def test_capacity_that_is_kept_spare_counts_as_needed() -> None:
    found = only(even(12, 7_000.0, capacity=1000.0), replace(POLICY, utilization=0.5))
    assert found.remedy == "have at least 14 partitions, or faster consumers"


def test_uneven_partitions_tell_a_number_that_divides() -> None:
    found = only(even(12, 6_500.0, capacity=1000.0))
    assert found.evidence == (
        "6,500 records/s need 7 consumers, and with 12 partitions 6 to 11 replicas are equally fast")
    assert found.remedy == "have 14 partitions, which 7 replicas divide evenly"
    assert found.gain == "7 replicas instead of 12"


def test_topics_that_are_divided_apart_tell_what_another_assignor_allows() -> None:
    found = only(two_topics(9_000.0))
    assert "no more than 12 replicas work, which do 8,000" in found.evidence
    assert found.gain == "up to 1.3 times"


def test_uneven_keys_tell_the_partition_and_what_even_ones_would_do() -> None:
    """6 consumers have 2 partitions each: 0.5 + 0.045 of the records instead of 1/6."""
    found = only(uneven(0.5))
    assert found.evidence == "orders/3 gets 50% of the records, an even share is 8%"
    assert found.gain == "up to 3.3 times"


def test_a_hot_partition_bounds_what_the_replicas_do() -> None:
    found = only(replace(uneven(0.5, arrival=900.0), hot=frozenset({TPS[3]})))
    assert (found.about, found.gain) == ("keys", "up to 3 times")


def test_slow_polls_tell_how_many_records_fit() -> None:
    found = advise(POLICY, replace(even(1, 0.4, capacity=0.5), commit_interval=200.0))[0]
    assert found.evidence == (
        "one consumer does 0.5 records/s and commits every 200 s; max.poll.interval.ms is 300 s by default")
    assert found.remedy == "set max.poll.records to 75 or less, or raise max.poll.interval.ms"
    assert found.gain == ""


def test_who_is_slow_is_not_told_to_poll_more_though_little_lies_between_two_commits() -> None:
    """3 records/s and 5 s between commits are 15 records, however many a poll brings."""
    slow = replace(even(2, 6.0, age=100.0, capacity=3.0), backlog=Backlog.BEHIND, commit_interval=5.0)
    assert [advice.about for advice in advise(POLICY, slow)] == ["processing"]


def test_small_fetches_tell_the_bytes_to_wait_for() -> None:
    found = only(sized(1000.0, 100.0))
    assert found.evidence == (
        "each of 2 consumers gets 50 records/s and 50,000 bytes/s: with fetch.min.bytes 1, the default, "
        "in up to 50 fetches a second")
    assert found.remedy.startswith("set fetch.min.bytes to 25,000 and leave fetch.max.wait.ms at 500")
    assert found.gain == "up to 25 times fewer fetches"


def test_the_commit_interval_that_is_assumed_proves_nothing() -> None:
    hasty = replace(POLICY, lag_seconds=10.0)
    assert advise(hasty, replace(CALM, commit_interval=5.0)) == ()
    assert only(replace(CALM, commit_interval=20.0)).gain.startswith("lag looks up to 15 s younger")


def test_costly_rebalances_tell_what_was_measured() -> None:
    found = only(eager(30.0, left=4))
    assert found.evidence == ("the range assignor stops all consumers at each rebalance, which costs 30 s of "
                              "processing; 4 members came and went within 10 minutes")
    assert found.gain == "up to 30 s of processing at each rebalance"
    assert only(eager(rebalancing=0.5)).evidence.endswith("; 50% of the looks saw one")
    assert only(eager(rebalancing=0.5)).gain == ""


def test_small_records_tell_what_a_batch_of_one_costs() -> None:
    found = only(sized(110.0, 2000.0))
    assert found.evidence.startswith("a record of orders takes 110 bytes on average, and 2,000 arrive a second")
    assert found.gain == "up to 2.2 times fewer bytes"
