"""How the answers are put together: what is partial stays partial, and no error becomes a number."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import ConsumerGroupState, ConsumerGroupType, KafkaError

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Reading, TopicPartition, Unknown
from kafka_consumer_scaler.kafka.admin import _offset
from kafka_consumer_scaler.kafka.groups import committed_of, group_of
from kafka_consumer_scaler.kafka.readings import matching, needing_start, readings_of
from kafka_consumer_scaler.kafka.sample import GroupQuery

QUERY = GroupQuery("orders")
P0, P1, P2 = (TopicPartition("orders", partition) for partition in range(3))
LEVEL = IsolationLevel.READ_COMMITTED
SILENT = Unknown("the leader of partition orders/1 did not answer in time", Reason.BROKERS_UNREACHABLE)


def test_a_partition_whose_leader_is_silent_is_unknown_and_the_others_are_read() -> None:
    readings = readings_of(QUERY, [P0, P1], {P0: 5, P1: 5}, {(LEVEL, P0): 9, (LEVEL, P1): SILENT}, {P0: 1})
    assert readings == {P0: Reading(9, 5, 1), P1: SILENT}


def test_when_no_partition_is_known_the_whole_is_unknown_for_that_reason() -> None:
    assert readings_of(QUERY, [P0, P1], {}, {(LEVEL, P0): SILENT, (LEVEL, P1): SILENT}, {}) == SILENT


def test_an_unreadable_log_start_makes_the_partition_unknown() -> None:
    readings = readings_of(QUERY, [P0, P1], {P1: 4}, {(LEVEL, P0): 9, (LEVEL, P1): 4}, {P0: SILENT})
    assert readings == {P0: SILENT, P1: Reading(4, 4, 0)}


def test_an_unreadable_commit_makes_the_partition_unknown() -> None:
    readings = readings_of(QUERY, [P0, P1], {P0: SILENT, P1: 4}, {(LEVEL, P0): 9, (LEVEL, P1): 4}, {})
    assert readings == {P0: SILENT, P1: Reading(4, 4, 0)}


def test_log_starts_are_asked_only_for_partitions_that_lag_or_have_no_commit() -> None:
    ends: dict[tuple[IsolationLevel, TopicPartition], int | Unknown] = {(LEVEL, P0): 9, (LEVEL, P1): 9, (LEVEL, P2): 9}
    assert needing_start({QUERY: [P0, P1, P2]}, {"orders": {P0: 9, P1: 8}}, ends) == {P1: 9, P2: 9}


def test_the_librarys_invalid_offset_is_a_timeout_and_not_a_number() -> None:
    answer = _offset(-1001)
    assert isinstance(answer, KafkaError)
    assert answer.code() == KafkaError._TIMED_OUT


def described(state: ConsumerGroupState, kind: ConsumerGroupType) -> SimpleNamespace:
    return SimpleNamespace(state=state, type=kind, partition_assignor="range", members=[])


@pytest.mark.parametrize(
    ("state", "kind", "word"),
    [
        (ConsumerGroupState.STABLE, ConsumerGroupType.CLASSIC, "Stable"),
        (ConsumerGroupState.EMPTY, ConsumerGroupType.CLASSIC, "Empty"),
        (ConsumerGroupState.DEAD, ConsumerGroupType.CLASSIC, "Dead"),
        (ConsumerGroupState.PREPARING_REBALANCING, ConsumerGroupType.CLASSIC, "PreparingRebalance"),
        (ConsumerGroupState.COMPLETING_REBALANCING, ConsumerGroupType.CLASSIC, "CompletingRebalance"),
        (ConsumerGroupState.UNKNOWN, ConsumerGroupType.CONSUMER, "Reconciling"),
        (ConsumerGroupState.UNKNOWN, ConsumerGroupType.CLASSIC, "Unknown"),
    ],
)
def test_group_states_are_told_in_kafkas_words(state: ConsumerGroupState, kind: ConsumerGroupType, word: str) -> None:
    group = group_of("orders", described(state, kind))
    assert group == Group(word, "range")
    assert group.is_rebalancing == (word in {"PreparingRebalance", "CompletingRebalance", "Reconciling"})


def test_a_group_that_kafka_does_not_know_is_dead_and_has_no_offsets() -> None:
    error = KafkaError(KafkaError.GROUP_ID_NOT_FOUND)
    assert group_of("orders", error) == Group("Dead")
    assert committed_of("orders", error) == {}


def test_a_silent_coordinator_is_told_as_such() -> None:
    said = committed_of("orders", KafkaError(KafkaError._TIMED_OUT))
    assert said == Unknown("group orders: its coordinator did not answer in time", Reason.COORDINATOR_UNAVAILABLE)


def test_uncommitted_partitions_are_left_out_of_the_committed_ones() -> None:
    rows = [
        SimpleNamespace(topic="orders", partition=0, offset=-1001, error=None),
        SimpleNamespace(topic="orders", partition=1, offset=0, error=None),
        SimpleNamespace(topic="orders", partition=2, offset=-1001, error=KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)),
    ]
    committed = committed_of("orders", SimpleNamespace(topic_partitions=rows))
    assert isinstance(committed, dict)
    assert committed.keys() == {P1, P2}
    assert committed[P1] == 0
    assert isinstance(committed[P2], Unknown)


def test_a_pattern_that_backtracks_without_end_elsewhere_is_answered_at_once() -> None:
    assert isinstance(matching("(.+)+!", ["a" * 200]), Unknown)
