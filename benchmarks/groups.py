"""Consumer groups without members that have consumed everything, on topics of the benchmark's own."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.cluster import BenchmarkFailed

ANSWER_SECONDS = 30.0
COMMITS_AT_ONCE = 8
PREFIX = "benchmark-"
FIRST_END = 500
"""Where every partition ends at first. Python keeps one object for each whole number up to 256: logs that begin at 0
would take no memory for their offsets until they pass it, which looks like a leak."""


@dataclass(frozen=True)
class Groups:
    """Group number i has committed the end of each partition of topic i modulo `topics`."""

    bootstrap_servers: str
    topics: int = 10
    partitions: int = 12

    def name(self, number: int) -> str:
        """Of the group with this number, and of its scaler and target."""
        return f"{PREFIX}{number:04}"

    def topic(self, number: int) -> str:
        """The topic of the group with this number."""
        return f"{PREFIX}topic-{number % self.topics:02}"

    def make_topics(self) -> None:
        """The topics, with FIRST_END records in each partition. Raises BenchmarkFailed when Kafka refuses."""
        self.remove()
        wanted = [NewTopic(self.topic(number), self.partitions, 1) for number in range(self.topics)]
        admin = self._admin()  # a client that goes out of scope takes its futures with it
        _settled(admin.create_topics(wanted))
        self._produce(FIRST_END)

    def commit_the_end(self, numbers: range) -> None:
        """Make these groups, caught up. Raises BenchmarkFailed when Kafka refuses."""
        with ThreadPoolExecutor(COMMITS_AT_ONCE) as pool:
            commits = {self.name(number): pool.submit(self._commit, number) for number in numbers}
        _settled(commits)

    def _commit(self, number: int) -> None:
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": self.name(number)})
        try:
            partitions = [TopicPartition(self.topic(number), each, FIRST_END) for each in range(self.partitions)]
            consumer.commit(offsets=partitions, asynchronous=False)
        finally:
            consumer.close()

    def advance(self, numbers: range, rounds: int) -> None:
        """One more record in each partition, the `rounds`th since the first ones; these groups commit its end."""
        self._produce(1)
        end, admin = FIRST_END + rounds, self._admin()
        places = {n: [TopicPartition(self.topic(n), each, end) for each in range(self.partitions)] for n in numbers}
        asked = [[ConsumerGroupTopicPartitions(self.name(n), ends)] for n, ends in places.items()]
        _settled({one[0].group_id: admin.alter_consumer_group_offsets(one)[one[0].group_id] for one in asked})

    def _produce(self, each: int) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap_servers})
        for number in range(self.topics):
            for partition in [*range(self.partitions)] * each:
                producer.produce(self.topic(number), b"record", partition=partition)
        if producer.flush(ANSWER_SECONDS):
            raise BenchmarkFailed("the broker did not take the topics' records")

    def remove(self) -> None:
        """All groups and topics of benchmarks, also those of an interrupted run."""
        admin = self._admin()
        try:
            groups = [each.group_id for each in admin.list_consumer_groups().result(ANSWER_SECONDS).valid]
            topics = list(admin.list_topics(timeout=ANSWER_SECONDS).topics)
        except KafkaException as problem:
            raise BenchmarkFailed(f"Kafka at {self.bootstrap_servers}: {_said(problem)}") from None
        for delete, names in ((admin.delete_consumer_groups, groups), (admin.delete_topics, topics)):
            ours = [name for name in names if name.startswith(PREFIX)]
            _settled(delete(ours) if ours else {})

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})


def _settled(futures: dict[str, Future[Any]]) -> None:
    for name, future in futures.items():
        try:
            future.result(ANSWER_SECONDS)
        except KafkaException as problem:
            raise BenchmarkFailed(f"Kafka refuses {name}: {_said(problem)}") from None


def _said(problem: KafkaException) -> str:
    return str(problem.args[0].str())
