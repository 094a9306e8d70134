"""What every lag source promises, shown by the real one on a real broker."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, ShareConsumer
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Reading, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.kafka.brokers import group_types
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.details import THREAD
from kafka_consumer_scaler.kafka.lag_source import GroupQuery, GroupSample, LagSource
from tests.topics import led_partitions, wait_for_leaders
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.cluster
DEADLINE_SECONDS = 60.0
"""Half of it is the coordinators', so that a machine may stand still for ten seconds."""


class Cluster:
    """A broker, and the few things that producers and consumers do to it."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.admin = AdminClient({"bootstrap.servers": servers})
        self._topics: list[str] = []

    def topic(
        self, partitions: int = 1, name: str | None = None, config: dict[str, str] | None = None
    ) -> str:
        name = name or fresh("topic")
        self.admin.create_topics([NewTopic(name, partitions, 1, config=config or {})])[name].result()
        self._topics.append(name)
        wait_for_leaders(self.admin, name, partitions)
        return name

    def add_partitions(self, topic: str, total: int) -> None:
        self.admin.create_partitions([NewPartitions(topic, total)])[topic].result()
        wait_for_leaders(self.admin, topic, total)

    def delete(self, topic: str) -> None:
        self.admin.delete_topics([topic])[topic].result()
        eventually(lambda: led_partitions(self.admin, topic) == 0)

    def clear(self) -> None:
        for future in self.admin.delete_topics(self._topics).values() if self._topics else ():
            future.exception()

    def produce(self, topic: str, records: int, partition: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.servers})
        for number in range(records):
            producer.produce(topic, str(number), partition=partition)
        assert producer.flush(PATIENCE_SECONDS) == 0

    def commit(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        """Commit as a consumer does that has processed everything before `offset`."""
        consumer = self.consumer(group)
        consumer.commit(offsets=[KafkaTopicPartition(topic, partition, offset)], asynchronous=False)
        consumer.close()

    def consumer(self, group: str, **settings: Any) -> Consumer:
        common = {"bootstrap.servers": self.servers, "group.id": group, "enable.auto.commit": False}
        return Consumer({**common, "auto.offset.reset": "earliest", **settings})


def fresh(what: str) -> str:
    return f"{what}-{uuid.uuid4().hex[:10]}"


def is_asking_brokers() -> bool:
    """Whether a source is still asking for details, in a thread and on a connection of its own."""
    return any(thread.name == THREAD for thread in threading.enumerate())


@pytest.fixture
def source(kafka_bootstrap_servers: str) -> LagSource:
    return LagSource(Connection(kafka_bootstrap_servers))


def ask(source: LagSource, query: GroupQuery) -> GroupSample:
    [sample] = source.poll([query], DEADLINE_SECONDS)
    return sample


def reading(sample: GroupSample, topic: str, partition: int = 0) -> Reading:
    assert not isinstance(sample.partitions, Unknown), sample.partitions
    found = sample.partitions[TopicPartition(topic, partition)]
    assert isinstance(found, Reading), found
    return found


def whole_problem(sample: GroupSample) -> Unknown:
    assert isinstance(sample.partitions, Unknown), sample.partitions
    return sample.partitions


def test_a_reading_is_the_log_end_and_what_a_real_consumer_committed(cluster: Cluster, source: LagSource) -> None:
    topic, group = cluster.topic(), fresh("group")
    cluster.produce(topic, 10)
    consumer = cluster.consumer(group)
    consumer.subscribe([topic])
    batch = consumer.consume(4, timeout=PATIENCE_SECONDS)
    consumer.commit(message=batch[-1], asynchronous=False)
    consumer.close()
    assert reading(ask(source, GroupQuery(group)), topic) == Reading(end=10, committed=len(batch), start=0)


def test_a_partition_without_a_commit_is_uncommitted_with_its_log_start(cluster: Cluster, source: LagSource) -> None:
    topic, group = cluster.topic(partitions=2), fresh("group")
    cluster.produce(topic, 7, partition=1)
    cluster.commit(group, topic, 0, partition=0)
    delete_records_before(cluster, topic, 3, partition=1)
    sample = ask(source, GroupQuery(group))
    assert reading(sample, topic, 1) == Reading(end=7, committed=Uncommitted(), start=3)
    assert reading(sample, topic, 0) == Reading(end=0, committed=0)


def test_a_missing_group_with_declared_topics_is_dead_and_uncommitted(cluster: Cluster, source: LagSource) -> None:
    topic = cluster.topic(partitions=3)
    sample = ask(source, GroupQuery(fresh("group"), topics=(topic,)))
    assert [reading(sample, topic, p).committed for p in range(3)] == [Uncommitted()] * 3
    assert sample.group == Group("Dead")


def test_a_share_group_is_unknown_for_its_type_and_never_caught_up(cluster: Cluster, source: LagSource) -> None:
    """Its topics are declared, so without its type it would have no lag under `latest`."""
    topic, group = cluster.topic(), fresh("group")
    member = ShareConsumer({"bootstrap.servers": cluster.servers, "group.id": group})
    member.subscribe([topic])
    try:
        poll_until(member, lambda: group_types(Connection(cluster.servers), [group]) == {group: "share"})
        cluster.produce(topic, 10)
        for query in (GroupQuery(group), GroupQuery(group, topics=(topic,))):
            problem = whole_problem(ask(source, query))
            assert problem.reason is Reason.GROUP_TYPE_NOT_SUPPORTED
            assert f"group {group} is a share group" in problem.why
    finally:
        member.close()


def poll_until(member: ShareConsumer, is_so: Callable[[], bool]) -> None:
    """Poll, since a member joins while it does."""

    def looked() -> bool:
        member.poll(timeout=0.1)
        return is_so()

    eventually(looked)


def test_a_missing_group_without_topics_has_no_committed_offsets(source: LagSource) -> None:
    group = fresh("group")
    problem = whole_problem(ask(source, GroupQuery(group)))
    assert problem == Unknown(f"group {group} does not exist, and no topics are declared", Reason.NO_COMMITTED_OFFSETS)


def test_a_missing_topic_is_named_and_its_lag_is_unknown(cluster: Cluster, source: LagSource) -> None:
    there, missing = cluster.topic(), fresh("topic")
    problem = whole_problem(ask(source, GroupQuery("any", topics=(there, missing))))
    assert problem.reason is Reason.TOPIC_NOT_FOUND
    assert missing in problem.why


def test_asking_for_a_missing_topic_does_not_create_it(cluster: Cluster, source: LagSource) -> None:
    missing = fresh("topic")
    ask(source, GroupQuery("any", topics=(missing,)))
    assert led_partitions(cluster.admin, missing) == 0


def test_only_declared_topics_are_read_of_a_group_that_reads_others_too(cluster: Cluster, source: LagSource) -> None:
    declared, other, group = cluster.topic(), cluster.topic(), fresh("group")
    cluster.commit(group, declared, 0)
    cluster.commit(group, other, 0)
    sample = ask(source, GroupQuery(group, topics=(declared,)))
    assert not isinstance(sample.partitions, Unknown)
    assert set(sample.partitions) == {TopicPartition(declared, 0)}


def test_a_pattern_matches_whole_topic_names(cluster: Cluster, source: LagSource) -> None:
    prefix = fresh("topic")
    for name in (f"{prefix}-eu", f"{prefix}-us", f"{prefix}-us-retry"):
        cluster.topic(name=name)
    sample = ask(source, GroupQuery("any", topic_pattern=f"{prefix}-(eu|us)"))
    assert not isinstance(sample.partitions, Unknown)
    assert {tp.topic for tp in sample.partitions} == {f"{prefix}-eu", f"{prefix}-us"}


@pytest.mark.parametrize(
    ("pattern", "reason"), [("no-such-topic-.*", Reason.TOPIC_NOT_FOUND), ("(", Reason.INVALID_SPEC)]
)
def test_a_pattern_that_finds_nothing_is_unknown_not_empty(source: LagSource, pattern: str, reason: Reason) -> None:
    assert whole_problem(ask(source, GroupQuery("any", topic_pattern=pattern))).reason is reason


def test_an_open_transaction_holds_the_end_at_the_last_stable_offset(cluster: Cluster, source: LagSource) -> None:
    topic = cluster.topic()
    cluster.produce(topic, 5)
    producer = Producer({"bootstrap.servers": cluster.servers, "transactional.id": fresh("transaction")})
    producer.init_transactions(PATIENCE_SECONDS)
    producer.begin_transaction()
    producer.produce(topic, "in doubt", partition=0)
    assert producer.flush(PATIENCE_SECONDS) == 0
    stable, all_of_it = source.poll(
        [
            GroupQuery("any", topics=(topic,), isolation_level=IsolationLevel.READ_COMMITTED),
            GroupQuery("any", topics=(topic,), isolation_level=IsolationLevel.READ_UNCOMMITTED),
        ],
        DEADLINE_SECONDS,
    )
    producer.abort_transaction(PATIENCE_SECONDS)
    assert (reading(stable, topic).end, reading(all_of_it, topic).end) == (5, 6)


def test_added_partitions_are_seen_once_the_cache_has_aged(cluster: Cluster, kafka_bootstrap_servers: str) -> None:
    source = LagSource(Connection(kafka_bootstrap_servers), cache_seconds=0.2)
    topic = cluster.topic(partitions=1)
    query = GroupQuery("any", topics=(topic,))
    assert ask(source, query).partitions == {TopicPartition(topic, 0): Reading(0, Uncommitted())}
    cluster.add_partitions(topic, 3)
    three = {TopicPartition(topic, partition): Reading(0, Uncommitted()) for partition in range(3)}
    eventually(lambda: ask(source, query).partitions == three)


def delete_records_before(cluster: Cluster, topic: str, offset: int, partition: int = 0) -> None:
    for future in cluster.admin.delete_records([KafkaTopicPartition(topic, partition, offset)]).values():
        future.result()


def test_a_log_start_beyond_the_committed_offset_is_told(cluster: Cluster, source: LagSource) -> None:
    topic, group = cluster.topic(), fresh("group")
    cluster.produce(topic, 10)
    cluster.commit(group, topic, 2)
    delete_records_before(cluster, topic, 6)
    assert reading(ask(source, GroupQuery(group)), topic) == Reading(end=10, committed=2, start=6)


def test_a_deleted_topic_is_unknown_and_a_recreated_one_is_read_afresh(cluster: Cluster, source: LagSource) -> None:
    topic = cluster.topic(partitions=2)
    query = GroupQuery("any", topics=(topic,))
    cluster.produce(topic, 9)
    delete_records_before(cluster, topic, 8)
    assert reading(ask(source, query), topic) == Reading(9, Uncommitted(), start=8)
    cluster.delete(topic)
    assert isinstance(ask(source, query).partitions, Unknown)
    assert whole_problem(ask(source, query)).reason is Reason.TOPIC_NOT_FOUND
    cluster.topic(name=topic, partitions=1)
    cluster.produce(topic, 1)
    assert ask(source, query).partitions == {TopicPartition(topic, 0): Reading(1, Uncommitted(), start=0)}


@pytest.mark.parametrize(
    ("settings", "assignor"),
    [
        ({"partition.assignment.strategy": "range"}, "range"),
        ({"partition.assignment.strategy": "cooperative-sticky"}, "cooperative-sticky"),
        ({"group.protocol": "consumer"}, "uniform"),
    ],
)
def test_a_living_group_shows_its_assignor_and_who_has_what(
    cluster: Cluster, source: LagSource, settings: dict[str, Any], assignor: str
) -> None:
    topic, group = cluster.topic(partitions=2), fresh("group")
    consumer = cluster.consumer(group, **settings)
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.1) is None and len(consumer.assignment()) == 2)
    query = GroupQuery(group, topics=(topic,))
    eventually(lambda: consumer.poll(0.1) is None and getattr(ask(source, query).group, "state", "") == "Stable")
    described = ask(source, query).group
    consumer.close()
    assert isinstance(described, Group)
    assert (described.state, described.assignor) == ("Stable", assignor)
    assert [one.partitions for one in described.members] == [{TopicPartition(topic, 0), TopicPartition(topic, 1)}]


def test_a_group_that_everybody_left_is_empty(cluster: Cluster, source: LagSource) -> None:
    topic, group = cluster.topic(), fresh("group")
    cluster.commit(group, topic, 0)
    described = ask(source, GroupQuery(group)).group
    assert described == Group("Empty")


def test_samples_come_in_the_order_of_the_queries(cluster: Cluster, source: LagSource) -> None:
    topic, groups = cluster.topic(), [fresh("group") for _ in range(20)]
    for number, group in enumerate(groups):
        cluster.commit(group, topic, number)
    cluster.produce(topic, 20)
    samples = source.poll([GroupQuery(group) for group in reversed(groups)], DEADLINE_SECONDS)
    assert [reading(sample, topic).committed for sample in samples] == list(reversed(range(20)))


def test_any_number_of_groups_costs_one_round_of_end_offsets_and_one_fetch_each(
    cluster: Cluster, source: LagSource, environment: Any
) -> None:
    topic, groups = cluster.topic(partitions=6), [fresh("group") for _ in range(10)]
    for group in groups:
        cluster.commit(group, topic, 0)
    queries = [GroupQuery(group) for group in groups]
    source.poll(queries, DEADLINE_SECONDS)
    eventually(lambda: not is_asking_brokers())

    wanted = {"ListOffsets": 1, "OffsetFetch": 10, "Metadata": 0}

    def costs_no_more() -> bool:
        before = environment.broker_request_counts()
        source.poll(queries, DEADLINE_SECONDS)
        after = environment.broker_request_counts()
        cost = {each: after.get(each, 0) - before.get(each, 0) for each in wanted}
        print(f"a poll cost {cost}")
        return cost == wanted

    # Clients of other tests are in this process too, and ask for metadata again and again after their topics went.
    eventually(costs_no_more, what=f"a poll that costs {wanted}")
