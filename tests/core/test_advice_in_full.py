"""Advice as a person reads it: what it is about, the evidence, the remedy and the gain, word by word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kafka_consumer_scaler.core.advice import RULES, Advice
from kafka_consumer_scaler.core.snapshot import Details
from tests.core.making import even
from tests.core.test_advice import CALM, POLICY, TPS, eager, only, sized, two_topics, uneven

OTHER_ASSIGNOR = "use the cooperative-sticky assignor, and give each consumer a group.instance.id (static membership)"
IN_FULL: Mapping[str, Advice] = {
    "slow_records": Advice(
        "processing", "one consumer does 150 records/s: 7 ms a record",
        "if that is mostly waiting, process the records of a poll as one batch, or several at once (asynchronously)",
        "in half the time a record, 2 instead of 3 consumers keep up"),
    "more_partitions": Advice(
        "partitions", "13,200 records/s arrive, and 12 partitions let no more than 12 consumers work, which do 12,000",
        "have at least 14 partitions, or faster consumers", "up to 1.1 times"),
    "uneven_partitions": Advice(
        "partitions", "6,500 records/s need 7 consumers, and with 12 partitions 6 to 11 replicas are equally fast",
        "have 14 partitions, which 7 replicas divide evenly", "7 replicas instead of 12"),
    "topics_divided_apart": Advice(
        "partition.assignment.strategy",
        "9,000 records/s arrive; the range assignor divides each topic apart, so no more than 12 replicas work, which "
        "do 8,000",
        "use an assignor that divides all 16 partitions together, such as cooperative-sticky", "up to 1.3 times"),
    "uneven_keys": Advice(
        "keys", "orders/3 gets 50% of the records, an even share is 8%",
        "choose keys that spread the records more evenly, or split the most frequent one", "up to 3.3 times"),
    "slow_polls": Advice(
        "max.poll.records", "one consumer does 2 records/s and commits every 200 s; max.poll.interval.ms is 300 s by "
        "default", "set max.poll.records to 300 or less, or raise max.poll.interval.ms"),
    "small_fetches": Advice(
        "fetch.min.bytes",
        "each of 2 consumers gets 50 records/s and 50,000 bytes/s: with fetch.min.bytes 1, the default, in up to 50 "
        "fetches a second",
        "set fetch.min.bytes to 25,000 and leave fetch.max.wait.ms at 500, the longest that a record then waits",
        "up to 25 times fewer fetches"),
    "rare_commits": Advice(
        "auto.commit.interval.ms", "a consumer commits every 30 s, and the objective is 60 s",
        "commit every 5 s, Kafka's default",
        "lag looks up to 25 s younger, and as much less is done again after a failure"),
    "costly_rebalances": Advice(
        "partition.assignment.strategy",
        "the range assignor stops all consumers at each rebalance, which costs 30 s of processing; 3 members came and "
        "went within 10 minutes; 30% of the looks saw one",
        OTHER_ASSIGNOR, "up to 30 s of processing at each rebalance"),
    "small_records": Advice(
        "linger.ms",
        "a record of orders takes 110 bytes on average, and 2,000 arrive a second; one that is sent alone takes 61 "
        "bytes for the header of its batch",
        "let producers batch: a linger.ms of some milliseconds, a larger batch.size, and compression",
        "up to 2.2 times fewer bytes"),
    "compacted_topics": Advice(
        "cleanup.policy",
        "orders is compacted: offsets whose records were removed count as lag, so a group that reads old records has "
        "fewer of them before it than its lag says",
        "read its lag as an upper bound while it reads from the beginning; at the end of the log it is exact"),
}
SITUATIONS = {
    "slow_records": even(4, 400.0, capacity=150.0),
    "more_partitions": even(12, 13_200.0, capacity=1000.0),
    "uneven_partitions": even(12, 6_500.0, capacity=1000.0),
    "topics_divided_apart": two_topics(9_000.0),
    "uneven_keys": uneven(0.5),
    "slow_polls": replace(even(1, 1.5, capacity=2.0), commit_interval=200.0),
    "small_fetches": sized(1000.0, 100.0),
    "rare_commits": replace(CALM, commit_interval=30.0),
    "costly_rebalances": eager(30.0, left=3, rebalancing=0.3),
    "small_records": sized(110.0, 2000.0),
    "compacted_topics": replace(CALM, details=Details(compacted=frozenset({"orders"}))),
}


@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__ for rule in RULES])
def test_every_advice_reads_as_it_is_written_here(rule: object) -> None:
    name = getattr(rule, "__name__", "")
    (spoken,) = [each for each in RULES if each.__name__ == name]
    assert spoken(POLICY, SITUATIONS[name]) == IN_FULL[name]


def test_a_rebalance_without_a_pause_that_was_measured_promises_nothing() -> None:
    """2 members left and a tenth of the looks are no unrest to be told beside the pause of 10 s."""
    assert only(eager(rebalancing=0.3)) == Advice(
        "partition.assignment.strategy",
        "the range assignor stops all consumers at each rebalance; 30% of the looks saw one", OTHER_ASSIGNOR)
    assert only(eager(10.0, left=2, rebalancing=0.1)).evidence == (
        "the range assignor stops all consumers at each rebalance, which costs 10 s of processing")


@pytest.mark.parametrize(("topics", "named"), [
    ("a", "a is compacted:"), ("ba", "a and 1 more is compacted:"), ("cba", "a and 2 more is compacted:")])
def test_the_first_compacted_topic_is_named_and_the_others_are_counted(topics: str, named: str) -> None:
    lag = {TPS[0]._replace(topic=topic): 0 for topic in topics}
    found = only(replace(CALM, lag=lag, details=Details(compacted=frozenset(topics))))
    assert found.evidence.startswith(named)


def test_a_partition_that_got_nothing_in_the_window_does_not_count_as_hot_with_all_of_it() -> None:
    """The other hot one gets half: 2 records at most for each that its consumer does, and 6 consumers could do 6."""
    hot = frozenset({TPS[3], TPS[3]._replace(partition=99)})
    assert only(replace(uneven(0.5, arrival=900.0), hot=hot)).gain == "up to 3 times"
    assert only(replace(uneven(0.5), hot=frozenset({TPS[3]._replace(partition=99)}))).gain == "up to 3.3 times"


def test_one_record_at_least_comes_with_a_poll() -> None:
    """0.01 records/s are 1.5 in half of 300 s."""
    slow = replace(even(1, 0.005, capacity=0.01), commit_interval=200.0)
    found = {rule.__name__: rule for rule in RULES}["slow_polls"](POLICY, slow)
    assert found is not None
    assert found.remedy.startswith("set max.poll.records to 1 or less")


def test_who_may_wait_for_no_longer_than_a_fetch_is_not_told_to() -> None:
    fetches = {rule.__name__: rule for rule in RULES}["small_fetches"]
    assert fetches(replace(POLICY, lag_seconds=0.5), sized(1000.0, 100.0)) is None
    assert fetches(replace(POLICY, lag_seconds=0.6), sized(1000.0, 100.0)) is not None
