"""What a real broker tells of its records, its open transactions and its settings, and how seldom it is asked."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import pytest
from confluent_kafka import Producer

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.snapshot import Details, TopicPartition
from kafka_consumer_scaler.kafka.brokers import Told
from kafka_consumer_scaler.kafka.brokers import ask as ask_brokers
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.details import THREAD
from kafka_consumer_scaler.kafka.lag_source import GroupQuery, LagSource
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from tests.contracts.test_lag_source import (
    DEADLINE_SECONDS,
    Cluster,
    ask,
    delete_records_before,
    fresh,
    is_asking_brokers,
)
from tests.environment import Environment
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.cluster

RARE = ("DescribeLogDirs", "DescribeConfigs", "DescribeCluster")
RECORD = bytes(1000)
WEEK_SECONDS = 7 * 86_400.0
"""Kafka's default of offsets.retention.minutes, which the environment's broker keeps."""


@pytest.fixture
def source(kafka_bootstrap_servers: str) -> LagSource:
    return LagSource(Connection(kafka_bootstrap_servers))


def fill(cluster: Cluster, topic: str, records: int, partition: int = 0, compression: str = "none") -> None:
    producer = Producer({"bootstrap.servers": cluster.servers, "compression.type": compression, "linger.ms": 200})
    for _ in range(records):
        producer.produce(topic, RECORD, partition=partition)
    assert producer.flush(PATIENCE_SECONDS) == 0


def details(source: LagSource, *topics: str) -> Details:
    """The details of the first look after the brokers have answered what the look before asked of them."""
    query = GroupQuery(fresh("group"), topics=topics)
    ask(source, query)
    eventually(lambda: not is_asking_brokers())
    return ask(source, query).details


def measured(servers: str, *topics: str) -> tuple[LagSource, Details]:
    """A source, and the details that it got in time: brokers have 5 s, then another source asks them again."""
    found = list[tuple[LagSource, Details]]()

    def is_told() -> bool:
        source = LagSource(Connection(servers))
        told = details(source, *topics)
        found.append((source, told))
        return told.offsets_retention_seconds is not None

    eventually(is_told)
    return found[-1]


def test_records_are_as_large_as_they_are_stored(cluster: Cluster) -> None:
    plain, packed, empty = cluster.topic(partitions=2), cluster.topic(), cluster.topic()
    fill(cluster, plain, 300)
    fill(cluster, plain, 100, partition=1)
    fill(cluster, packed, 300, compression="gzip")
    told = measured(cluster.servers, plain, packed, empty)[1].record_bytes
    assert told.keys() == {plain, packed}
    assert told[plain] == pytest.approx(1000, rel=0.1)
    assert told[packed] < 100


@contextmanager
def growing(cluster: Cluster, topic: str) -> Iterator[None]:
    """A topic in which up to 2,000 records arrive in each second, evenly."""
    ended = threading.Event()

    def fill_on() -> None:
        producer = Producer({"bootstrap.servers": cluster.servers, "linger.ms": 0})
        while not ended.wait(0.01):
            for _ in range(20):
                producer.produce(topic, RECORD, partition=0)
            producer.poll(0)
        assert producer.flush(PATIENCE_SECONDS) == 0

    producing = threading.Thread(target=fill_on)
    producing.start()
    try:
        yield
    finally:
        ended.set()
        producing.join()


def test_records_of_a_young_topic_are_no_larger_for_those_that_arrive_while_it_is_measured(
    cluster: Cluster,
) -> None:
    topic = cluster.topic()
    fill(cluster, topic, 500)
    with growing(cluster, topic):
        told = [measured(cluster.servers, topic)[1].record_bytes[topic] for _ in range(5)]
    assert median(told) == pytest.approx(1000, rel=0.1), told


def test_only_the_topics_of_a_query_are_told_of(cluster: Cluster) -> None:
    mine, other = cluster.topic(), cluster.topic()
    fill(cluster, mine, 100)
    fill(cluster, other, 100)
    source, _ = measured(cluster.servers, mine, other)
    assert ask(source, GroupQuery("any", topics=(mine,))).details.record_bytes.keys() == {mine}


def test_an_open_transaction_shows_above_the_end_and_a_topic_at_rest_shows_nothing(
    cluster: Cluster, source: LagSource
) -> None:
    held, rest = cluster.topic(), cluster.topic()
    cluster.produce(held, 5)
    cluster.produce(rest, 5)
    producer = Producer({"bootstrap.servers": cluster.servers, "transactional.id": fresh("transaction")})
    producer.init_transactions(PATIENCE_SECONDS)
    producer.begin_transaction()
    producer.produce(held, "in doubt", partition=0)
    assert producer.flush(PATIENCE_SECONDS) == 0
    stable = ask(source, GroupQuery("any", topics=(held, rest)))
    loose = ask(source, GroupQuery("any", topics=(held, rest), isolation_level=IsolationLevel.READ_UNCOMMITTED))
    producer.abort_transaction(PATIENCE_SECONDS)
    assert stable.details.high_watermarks == {TopicPartition(held, 0): 6}
    assert loose.details.high_watermarks == {}


def test_records_that_arrive_without_a_transaction_do_not_look_like_one(
    cluster: Cluster, kafka_bootstrap_servers: str
) -> None:
    source, topic = LagSource(Connection(kafka_bootstrap_servers), cache_seconds=0), cluster.topic()
    producer, done = Producer({"bootstrap.servers": cluster.servers, "linger.ms": 0}), threading.Event()

    def produce() -> None:
        while not done.wait(0.0005):
            producer.produce(topic, "x")
            producer.poll(0)

    writer = threading.Thread(target=produce)
    writer.start()
    looks = [ask(source, GroupQuery("any", topics=(topic,))) for _ in range(100)]
    done.set()
    writer.join()
    producer.flush(PATIENCE_SECONDS)
    assert sum(bool(look.details.high_watermarks) for look in looks) <= 5


def test_a_transaction_that_ended_is_forgotten_when_it_is_asked_for_again(
    cluster: Cluster, kafka_bootstrap_servers: str
) -> None:
    source, topic = LagSource(Connection(kafka_bootstrap_servers), cache_seconds=0), cluster.topic()
    producer = Producer({"bootstrap.servers": cluster.servers, "transactional.id": fresh("transaction")})
    producer.init_transactions(PATIENCE_SECONDS)
    producer.begin_transaction()
    producer.produce(topic, "in doubt", partition=0)
    assert producer.flush(PATIENCE_SECONDS) == 0
    query = GroupQuery("any", topics=(topic,))
    assert ask(source, query).details.high_watermarks == {TopicPartition(topic, 0): 1}
    producer.commit_transaction(PATIENCE_SECONDS)
    eventually(lambda: ask(source, query).details.high_watermarks == {})


def test_the_retention_of_offsets_is_the_brokers(cluster: Cluster) -> None:
    assert measured(cluster.servers, cluster.topic())[1].offsets_retention_seconds == WEEK_SECONDS


def test_the_questions_for_details_are_not_asked_at_every_poll(
    cluster: Cluster, source: LagSource, environment: Environment
) -> None:
    topic, group = cluster.topic(partitions=3), fresh("group")
    fill(cluster, topic, 100)
    for partition, end in enumerate([100, 0, 0]):
        cluster.commit(group, topic, end, partition)
    before = environment.broker_request_counts()
    ask(source, GroupQuery(group))
    eventually(lambda: not is_asking_brokers())
    between = environment.broker_request_counts()
    for _ in range(5):
        ask(source, GroupQuery(group))
    eventually(lambda: not is_asking_brokers())
    after = environment.broker_request_counts()
    assert sent(before, between, *RARE) == {**dict.fromkeys(RARE, 1), "DescribeConfigs": 2}  # of a broker, of a topic
    assert sent(between, after, *RARE, "ListOffsets") == {**dict.fromkeys(RARE, 0), "ListOffsets": 5}


def sent(before: dict[str, int], after: dict[str, int], *names: str) -> dict[str, int]:
    return {name: after.get(name, 0) - before.get(name, 0) for name in names}


def test_no_reading_rests_on_the_measure_of_records(cluster: Cluster, kafka_bootstrap_servers: str) -> None:
    """The log start of a partition that is all read is asked for the measure, and kept out of the reading."""
    source, topic, group = LagSource(Connection(kafka_bootstrap_servers)), cluster.topic(), fresh("group")
    fill(cluster, topic, 100)
    cluster.commit(group, topic, 100)
    delete_records_before(cluster, topic, 10)
    looks = [ask(source, GroupQuery(group)).partitions for _ in range(2)]
    assert looks[0] == looks[1]


def test_a_broker_that_is_slow_to_tell_delays_no_poll(
    cluster: Cluster, source: LagSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    eventually(lambda: not is_asking_brokers())
    topic, released = cluster.topic(), threading.Event()
    fill(cluster, topic, 100)

    def slowly(*question: Any, **how: Any) -> Told:
        released.wait(PATIENCE_SECONDS)
        return ask_brokers(*question, **how)

    monkeypatch.setattr(source._details, "_ask_brokers", slowly)
    query = GroupQuery("any", topics=(topic,))
    assert [ask(source, query).details.record_bytes for _ in range(3)] == [{}, {}, {}]
    assert sum(thread.name == THREAD for thread in threading.enumerate()) == 1
    released.set()
    eventually(lambda: ask(source, query).details.record_bytes.keys() == {topic})


async def test_details_reach_the_operator_and_nothing_else_is_logged(
    cluster: Cluster, kafka_bootstrap_servers: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    topic, process = cluster.topic(), PollingProcess()
    fill(cluster, topic, 100)
    await process.start()
    try:
        told, until = Details(), time.monotonic() + PATIENCE_SECONDS
        while not told.record_bytes and time.monotonic() < until:
            query = GroupQuery("any", topics=(topic,))
            [sample] = await process.poll(Connection(kafka_bootstrap_servers), [query], DEADLINE_SECONDS)
            told = sample.details
            await asyncio.sleep(0.05)
    finally:
        await process.stop()
    assert told.record_bytes[topic] == pytest.approx(1000, rel=0.1)
    assert told.offsets_retention_seconds == WEEK_SECONDS
    assert [record.getMessage() for record in caplog.records if record.name.startswith("kafka")] == []
