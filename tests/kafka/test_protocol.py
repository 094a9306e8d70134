"""The frames between the operator and its polling process say everything, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.core.policy import IsolationLevel, OffsetReset
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, Reading, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas, Standing
from kafka_consumer_scaler.kafka.protocol import (
    HEADER_BYTES,
    body_length,
    changes_as_json,
    changes_from_json,
    found_as_json,
    found_from_json,
    frame,
    query_as_json,
    query_from_json,
    quotas_as_json,
    quotas_from_json,
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
    leaders=st.dictionaries(TOPIC_PARTITIONS, st.integers(0, 2**31 - 1), max_size=3),
)
SAMPLES = st.builds(GroupSample, PARTITIONS | UNKNOWNS, GROUPS | UNKNOWNS, DETAILS)
QUERIES = st.builds(
    GroupQuery,
    NAMES,
    st.lists(NAMES, max_size=3).map(tuple),
    st.none() | NAMES,
    st.sampled_from(OffsetReset),
    st.sampled_from(IsolationLevel),
    st.booleans(),
)
RATES = st.none() | st.integers(min_value=0, max_value=2**63 - 1)
ENTITIES = st.builds(Entity, client_id=NAMES) | st.builds(Entity, user=NAMES)
STANDINGS = st.dictionaries(ENTITIES, st.builds(Standing, RATES, RATES, NAMES), max_size=4)
CHANGES = st.builds(Change, ENTITIES, st.frozensets(RATES, max_size=3), RATES)


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


@given(st.builds(Quotas, NAMES, STANDINGS) | UNKNOWNS)
def test_what_a_cluster_tells_of_its_quotas_arrives_as_it_was_sent(quotas: Quotas | Unknown) -> None:
    received = through_a_pipe({"answer": quotas_as_json(quotas)})["answer"]
    asked = [] if isinstance(quotas, Unknown) else list(quotas.standings)
    assert quotas_from_json(received, asked) == quotas


@given(st.dictionaries(ENTITIES, RATES | UNKNOWNS, max_size=4))
def test_what_was_found_before_a_change_arrives_as_it_was_sent(found: dict[Entity, Before]) -> None:
    received = through_a_pipe({"answer": found_as_json(found)})["answer"]
    assert found_from_json(received, list(found)) == found


@given(st.lists(CHANGES, max_size=3))
def test_every_change_of_a_quota_arrives_as_it_was_sent(changes: list[Change]) -> None:
    received = through_a_pipe({"changes": changes_as_json(changes)})["changes"]
    assert isinstance(received, list)
    assert changes_from_json(received) == changes


@pytest.mark.parametrize("answer", [
    {}, {"cluster": "c", "standings": []}, {"cluster": "c", "standings": [["web", None, 1.5, None, ""]]},
    {"cluster": "c", "standings": [["web", None, True, None, ""]]}, ["why", "NoSuchReason"], ["why"],
])
def test_an_answer_about_quotas_of_another_form_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match=":"):
        quotas_from_json(answer, [Entity(client_id="web")])
    with pytest.raises(ValueError, match=":"):
        found_from_json(answer, [Entity(client_id="web")])


def test_a_connection_arrives_equal_and_finds_the_same_client() -> None:
    connection = Connection("kafka-1:9092,kafka-2:9092")
    received = through_a_pipe({"connection": connection.as_json()})["connection"]
    assert isinstance(received, dict)
    assert {connection: "client"}[Connection.from_json(received)] == "client"
