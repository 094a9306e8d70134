"""What a group's coordinator says, in the core's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import ConsumerGroupState, ConsumerGroupType, KafkaError

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Member, TopicPartition, Unknown
from kafka_consumer_scaler.kafka.errors import is_timeout, unknown_because

STATES: Mapping[ConsumerGroupState, str] = {
    ConsumerGroupState.STABLE: "Stable",
    ConsumerGroupState.EMPTY: "Empty",
    ConsumerGroupState.DEAD: "Dead",
    ConsumerGroupState.PREPARING_REBALANCING: "PreparingRebalance",
    ConsumerGroupState.COMPLETING_REBALANCING: "CompletingRebalance",
}

Committed = Mapping[TopicPartition, "int | Unknown"]


def group_of(name: str, said: Any) -> Group | Unknown:
    """The description of a group. A group that Kafka does not know is Dead and has no members."""
    if isinstance(said, KafkaError):
        return Group("Dead") if said.code() == KafkaError.GROUP_ID_NOT_FOUND else group_problem(name, said)
    return Group(_state(said), said.partition_assignor or "", tuple(_member(one) for one in said.members))


def _state(said: Any) -> str:
    # librdkafka knows no word for the states that only groups of the consumer protocol (KIP-848) have, Assigning and
    # Reconciling, and calls them unknown. Both mean that partitions are changing hands.
    unnamed = "Reconciling" if said.type == ConsumerGroupType.CONSUMER else "Unknown"
    return STATES.get(said.state, unnamed)


def _member(said: Any) -> Member:
    assigned = said.assignment.topic_partitions if said.assignment else ()
    return Member(said.member_id, frozenset(TopicPartition(tp.topic, tp.partition) for tp in assigned))


def committed_of(name: str, said: Any) -> Committed | Unknown:
    """The committed offsets of a group; partitions without one are left out."""
    if isinstance(said, KafkaError):
        return {} if said.code() == KafkaError.GROUP_ID_NOT_FOUND else group_problem(name, said)
    return {
        TopicPartition(tp.topic, tp.partition): unknown_because(tp.error, f"group {name}") if tp.error else tp.offset
        for tp in said.topic_partitions
        if tp.error or tp.offset >= 0
    }


def group_problem(name: str, error: KafkaError) -> Unknown:
    """Why nothing is known of a group. Silence is put down to its coordinator."""
    if is_timeout(error):
        return Unknown(f"group {name}: its coordinator did not answer in time", Reason.COORDINATOR_UNAVAILABLE)
    return unknown_because(error, f"group {name}")
