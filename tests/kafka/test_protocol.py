"""The frames between the operator and its polling process say everything, and nothing else."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.core.policy import IsolationLevel, OffsetReset
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, Reading, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.protocol import (
    HEADER_BYTES,
    body_length,
    frame,
    query_as_json,
    query_from_json,
    sample_as_json,
    sample_from_json,
)
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample

NAMES = st.text(max_size=20)
OFFSETS = st.integers(min_value=0, max_value=2**63 - 1)
TOPIC_PARTITIONS = st.builds(TopicPartition, NAMES, st.integers(min_value=0, max_value=2**31 - 1))
UNKNOWNS = st.builds(Unknown, st.text(), st.sampled_from(Reason))
READINGS = st.builds(Reading, end=OFFSETS, committed=OFFSETS | st.builds(Uncommitted), start=OFFSETS)
MEMBERS = st.builds(Member, NAMES, st.frozensets(TOPIC_PARTITIONS, max_size=4))
GROUPS = st.builds(Group, NAMES, NAMES, st.lists(MEMBERS, max_size=3).map(tuple))
PARTITIONS = st.dictionaries(TOPIC_PARTITIONS, READINGS | UNKNOWNS, max_size=8)
SIZES = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
DETAILS = st.builds(
    Details,
    st.dictionaries(NAMES, SIZES, max_size=3),
    st.dictionaries(TOPIC_PARTITIONS, OFFSETS, max_size=3),
    st.none() | st.floats(0, 1e9),
)
SAMPLES = st.builds(GroupSample, PARTITIONS | UNKNOWNS, GROUPS | UNKNOWNS, DETAILS)
QUERIES = st.builds(
    GroupQuery,
    NAMES,
    st.lists(NAMES, max_size=3).map(tuple),
    st.none() | NAMES,
    st.sampled_from(OffsetReset),
    st.sampled_from(IsolationLevel),
)


def through_a_pipe(message: dict[str, object]) -> dict[str, object]:
    sent = frame(message)
    assert body_length(sent[:HEADER_BYTES]) == len(sent) - HEADER_BYTES
    received: dict[str, object] = json.loads(sent[HEADER_BYTES:])
    return received


@given(SAMPLES)
def test_every_sample_arrives_as_it_was_sent(sample: GroupSample) -> None:
    received = through_a_pipe({"sample": sample_as_json(sample)})["sample"]
    assert isinstance(received, dict)
    assert sample_from_json(received) == sample


def test_nothing_is_sent_about_details_that_were_not_told() -> None:
    assert sample_as_json(GroupSample({}, Group("Empty"))).keys() == {"partitions", "group"}


@given(QUERIES)
def test_every_query_arrives_as_it_was_sent(query: GroupQuery) -> None:
    received = through_a_pipe({"query": query_as_json(query)})["query"]
    assert isinstance(received, list)
    assert query_from_json(received) == query


def test_a_connection_arrives_equal_and_finds_the_same_client() -> None:
    connection = Connection("kafka-1:9092,kafka-2:9092")
    received = through_a_pipe({"connection": connection.as_json()})["connection"]
    assert isinstance(received, dict)
    assert {connection: "client"}[Connection.from_json(received)] == "client"
