"""The demo's topic and group on the broker, and their offsets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from confluent_kafka import (
    OFFSET_END,
    OFFSET_STORED,
    Consumer,
    ConsumerGroupState,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from tests.demo import scene
from tests.demo.failure import DemoFailed

ANSWER_SECONDS = 5.0
SETTLE_SECONDS = 20.0

Answer = TypeVar("Answer")


class Broker:
    """What does not succeed within some patience is a DemoFailed.

    Offsets are read by a consumer that joins no group: under load, an AdminClient asked for offsets twice a second was
    aborted by an assertion of librdkafka after some minutes (2.16.0, rd_kafka_enq_once_del_source_return).
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
        self._reader = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": scene.GROUP, "log_level": 2})

    def names_taken(self) -> list[str]:
        """Those of the demo's topic and group that are there."""
        topic, group = self._patiently(self._has_topic), self._patiently(self._has_group)
        return [f"topic {scene.TOPIC}"] * topic + [f"group {scene.GROUP}"] * group

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
        committed = self._reader.committed(self._of(OFFSET_STORED), timeout=ANSWER_SECONDS)
        ends = self._reader.offsets_for_times(self._of(OFFSET_END), timeout=ANSWER_SECONDS)
        return _in_order(ends), _in_order(committed)

    def _of(self, offset: int) -> list[TopicPartition]:
        return [TopicPartition(scene.TOPIC, number, offset) for number in range(scene.PARTITIONS)]

    def await_commit(self, seconds: float) -> None:
        """Return once the group has committed its first records."""
        deadline = time.monotonic() + seconds
        while not any(self._patiently(self.offsets)[1]):
            if time.monotonic() > deadline:
                raise DemoFailed(f"the consumers committed nothing within {seconds:.0f} s")
            time.sleep(0.5)

    def _has_topic(self) -> bool:
        return scene.TOPIC in self._client.list_topics(timeout=ANSWER_SECONDS).topics

    def _has_group(self) -> bool:
        """A group that is not there is described as dead or, by newer brokers, refused."""
        answer = self._client.describe_consumer_groups([scene.GROUP], request_timeout=ANSWER_SECONDS)[scene.GROUP]
        try:
            return bool(answer.result().state != ConsumerGroupState.DEAD)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return False
            raise

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


def _in_order(partitions: Sequence[TopicPartition]) -> tuple[int, ...]:
    """Offsets by number of partition. What could not be read is no 0: it raises KafkaException."""
    for partition in partitions:
        if partition.error is not None:
            raise KafkaException(partition.error)
    return tuple(max(0, each.offset) for each in sorted(partitions, key=lambda each: int(each.partition)))
