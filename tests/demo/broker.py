"""The demo's topic and group on the broker, and their offsets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.demo import scene
from tests.demo.tools import DemoFailed

ANSWER_SECONDS = 5.0
SETTLE_SECONDS = 20.0

Answer = TypeVar("Answer")


class Broker:
    """One AdminClient. What does not succeed within some patience is a DemoFailed."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
        self._partitions = [TopicPartition(scene.TOPIC, number) for number in range(scene.PARTITIONS)]

    def has_topic(self) -> bool:
        return self._patiently(lambda: scene.TOPIC in self._client.list_topics(timeout=ANSWER_SECONDS).topics)

    def make_topic(self) -> None:
        topic = NewTopic(scene.TOPIC, num_partitions=scene.PARTITIONS, replication_factor=1)
        self._patiently(lambda: self._done(self._client.create_topics([topic])))
        self._patiently(self._require_partitions)

    def remove(self) -> None:
        """Delete the topic and the group; what is not there is no error. The group's members must be gone."""
        self._patiently(lambda: self._done(self._client.delete_topics([scene.TOPIC])))
        self._patiently(lambda: self._done(self._client.delete_consumer_groups([scene.GROUP])))

    def offsets(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The end and the committed offset of each partition, 0 where none is; raises KafkaException.

        Committed offsets are read before end offsets, so that no lag comes out below 0.
        """
        asked = [ConsumerGroupTopicPartitions(scene.GROUP, self._partitions)]
        answer = self._client.list_consumer_group_offsets(asked, request_timeout=ANSWER_SECONDS)[scene.GROUP]
        committed = dict(map(_committed, answer.result().topic_partitions))
        specs = {partition: OffsetSpec.latest() for partition in self._partitions}
        ends = self._client.list_offsets(specs, request_timeout=ANSWER_SECONDS)
        numbers = range(scene.PARTITIONS)
        by_number = {partition.partition: future.result().offset for partition, future in ends.items()}
        return tuple(by_number[n] for n in numbers), tuple(committed.get(n, 0) for n in numbers)

    def await_commit(self, seconds: float) -> None:
        """Return once the group has committed its first records."""
        deadline = time.monotonic() + seconds
        while not any(self._patiently(self.offsets)[1]):
            if time.monotonic() > deadline:
                raise DemoFailed(f"the consumers committed nothing within {seconds:.0f} s")
            time.sleep(0.5)

    def _require_partitions(self) -> None:
        found = self._client.list_topics(scene.TOPIC, timeout=ANSWER_SECONDS).topics[scene.TOPIC]
        if len(found.partitions) != scene.PARTITIONS:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))

    def _done(self, futures: dict[str, Any]) -> None:
        absent = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND)
        for future in futures.values():
            try:
                future.result(timeout=2 * ANSWER_SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in absent:
                    raise

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """A topic that is being deleted cannot be made yet, and a group that is being left not be deleted."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return ask()
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise DemoFailed(f"the broker at {self._servers}: {error.args[0].str()}") from None
            time.sleep(0.3)


def _committed(partition: TopicPartition) -> tuple[int, int]:
    """Number and offset; what could not be read is no 0."""
    if partition.error is not None:
        raise KafkaException(partition.error)
    return partition.partition, max(0, partition.offset)
