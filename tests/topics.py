"""Topics on a real broker."""

from __future__ import annotations

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.waiting import eventually


def led_partitions(admin: AdminClient, topic: str) -> int:
    """How many partitions have a leader by the metadata. The leader itself may learn of it a moment later."""
    known = admin.list_topics(timeout=60).topics.get(topic)
    return sum(each.leader >= 0 for each in known.partitions.values()) if known else 0


def wait_for_leaders(admin: AdminClient, topic: str, partitions: int) -> None:
    """Wait until each partition has a leader that answers, so that the first poll of a test sees all of them."""
    eventually(lambda: led_partitions(admin, topic) == partitions, what=f"metadata names all leaders of {topic}")
    asked = {TopicPartition(topic, number): OffsetSpec.earliest() for number in range(partitions)}

    def all_answer() -> bool:
        return all(answer.exception(60) is None for answer in admin.list_offsets(asked).values())

    eventually(all_answer, what=f"all leaders of {topic} answer")
