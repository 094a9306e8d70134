"""What was recorded is what is read, and a bad line is one sentence with its number and field."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.api.snapshots import (
    BadLook,
    Carried,
    Look,
    look_from_json,
    look_to_json,
    looks_of,
)
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import (
    Details,
    Group,
    Member,
    Reading,
    Replicas,
    Snapshot,
    TopicPartition,
    Uncommitted,
    Unknown,
)
from tests.api.test_memory import MEMORIES, NOW

ORDERS = TopicPartition("orders", 0)
WHOLE = {
    "at": 12.0,
    "partitions": {"orders/0": {"start": 0, "end": 100, "committed": 40}},
    "group": {"state": "Stable", "assignor": "range", "members": [{"id": "m1", "partitions": ["orders/0"]}]},
    "replicas": {"spec": 2, "ready": 1},
}

offsets = st.integers(0, 2**63 - 1)
names = st.builds(TopicPartition, st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True), st.integers(0, 9_999_999))
unknowns = st.builds(Unknown, st.text(), st.sampled_from(Reason))
readings = st.builds(Reading, offsets, offsets | st.just(Uncommitted()), offsets)
members = st.builds(Member, st.text(), st.frozensets(names, max_size=3))
groups = st.builds(Group, st.text(), st.text(), st.lists(members, max_size=3).map(tuple))
details = st.builds(
    Details,
    st.dictionaries(st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True), st.floats(1e-3, 1e15), max_size=3),
    st.dictionaries(names, offsets, max_size=3),
    st.none() | st.floats(0, 1e15),
)
counts = st.integers(0, 2**31 - 1)
times = st.floats(0, NOW)
looks = st.builds(
    lambda at, later, partitions, group, details, **others: Look(
        Snapshot(at, partitions, group, details), decided_at=at + later, **others
    ),
    at=times,
    later=st.floats(0, 60),
    partitions=st.dictionaries(names, readings | unknowns, max_size=4) | unknowns,
    group=groups | unknowns,
    details=details,
    replicas=st.builds(Replicas, counts, counts, st.text()) | unknowns,
    scaled=st.none() | st.builds(Carried, times, counts),
    all_partitions=st.booleans(),
)


@given(looks)
def test_what_was_recorded_is_what_is_read(look: Look) -> None:
    assert look_from_json(look_to_json(look)) == look


@given(looks)
def test_a_look_is_one_line_whatever_foreign_words_are_in_it(look: Look) -> None:
    assert look_to_json(look).isprintable()


@given(MEMORIES)
def test_the_memory_is_recorded_on_demand(memory: Any) -> None:
    look = replace(look_from_json(json.dumps(WHOLE)), decided_at=NOW, memory=memory)
    assert look_from_json(look_to_json(look, with_memory=True)).memory == memory
    assert look_from_json(look_to_json(look)).memory is None


def test_the_fixed_fields_are_all_that_a_line_needs() -> None:
    look = look_from_json(json.dumps(WHOLE))
    member = Member("m1", frozenset({ORDERS}))
    assert look.snapshot == Snapshot(12.0, {ORDERS: Reading(100, 40, 0)}, Group("Stable", "range", (member,)))
    assert look.replicas == Replicas(spec=2, existing=1)
    assert look.decided_at == 12.0


def test_details_are_read_by_their_recorded_names_and_may_be_left_out() -> None:
    told = {"recordBytes": {"orders": 812.5}, "highWatermarks": {"orders/0": 123}, "offsetsRetentionSeconds": 604800,
            "compacted": ["orders"], "stretch": 2, "leaders": {"orders/0": 3}}
    look = look_from_json(json.dumps({**WHOLE, "details": told}))
    assert look.snapshot.details == Details(
        {"orders": 812.5}, {ORDERS: 123}, 604800.0, frozenset({"orders"}), 2, {ORDERS: 3})
    assert json.loads(look_to_json(look))["details"] == told
    assert look_from_json(json.dumps({**WHOLE, "details": {}})).snapshot.details == Details()
    assert look_from_json(json.dumps({**WHOLE, "details": None})).snapshot.details == Details()


def test_a_look_without_details_says_nothing_of_them() -> None:
    assert "details" not in json.loads(look_to_json(look_from_json(json.dumps(WHOLE))))


def test_trouble_with_the_pods_is_recorded_where_there_is_some() -> None:
    trouble = "1 of 2 pods in CrashLoopBackOff (exit code 1)"
    look = look_from_json(json.dumps({**WHOLE, "replicas": {"spec": 2, "ready": 1, "trouble": trouble}}))
    assert look.replicas == Replicas(2, 1, trouble)
    assert json.loads(look_to_json(look))["replicas"] == {"spec": 2, "ready": 1, "trouble": trouble}
    assert json.loads(look_to_json(look_from_json(json.dumps(WHOLE))))["replicas"] == {"spec": 2, "ready": 1}


def test_how_long_pods_took_to_start_is_recorded_where_it_is_known() -> None:
    told = {"spec": 2, "ready": 2, "startSeconds": 720.5}
    look = look_from_json(json.dumps({**WHOLE, "replicas": told}))
    assert look.replicas == Replicas(2, 2, start_seconds=720.5)
    assert json.loads(look_to_json(look))["replicas"] == told


def test_a_null_commit_is_uncommitted() -> None:
    line = {**WHOLE, "partitions": {"orders/0": {"start": 3, "end": 9, "committed": None}}}
    assert look_from_json(json.dumps(line)).snapshot.partitions == {ORDERS: Reading(9, Uncommitted(), 3)}


@pytest.mark.parametrize("name", ["partitions", "group", "replicas"])
@pytest.mark.parametrize("form", ["left out", "null", "said"])
def test_what_is_left_out_null_or_said_to_be_unknown_is_unknown(name: str, form: str) -> None:
    line: dict[str, Any] = {key: value for key, value in WHOLE.items() if key != name}
    if form != "left out":
        said = {"unknown": "no answer\u001b", "reason": "BrokersUnreachable"}
        line[name] = None if form == "null" else said
    look = look_from_json(json.dumps(line))
    found = look.replicas if name == "replicas" else getattr(look.snapshot, name)
    assert isinstance(found, Unknown)
    if form == "said":
        assert found == Unknown("no answer\u001b", Reason.BROKERS_UNREACHABLE)


@pytest.mark.parametrize("value", [None, {"unknown": "its leader is down"}])
def test_a_single_partition_may_be_unknown(value: Any) -> None:
    partitions = look_from_json(json.dumps({"at": 1, "partitions": {"orders/0": value}})).snapshot.partitions
    assert not isinstance(partitions, Unknown)
    assert isinstance(partitions[ORDERS], Unknown)


def test_a_topic_may_have_dots_and_dashes() -> None:
    partitions = look_from_json('{"at": 1, "partitions": {"shop.orders-v2_x/11": null}}').snapshot.partitions
    assert not isinstance(partitions, Unknown)
    assert list(partitions) == [TopicPartition("shop.orders-v2_x", 11)]


def lines(*found: dict[str, Any]) -> list[bytes]:
    return [json.dumps(line).encode() + b"\n" for line in found]


def named(*numbers: int) -> dict[str, Any]:
    return {f"orders/{number}": {"start": 0, "end": 9, "committed": 9} for number in numbers}


def test_a_partition_that_a_later_line_leaves_out_is_unknown_there() -> None:
    several = lines({"at": 1, "partitions": named(0, 1)}, {"at": 2}, {"at": 3, "partitions": named(0)},
                    {"at": 4, "partitions": named(0, 1)})
    *_, third, fourth = looks_of(several)
    assert isinstance(third.snapshot.complete(), Unknown)
    assert not isinstance(fourth.snapshot.complete(), Unknown)


def test_a_partition_that_is_gone_is_not_unknown() -> None:
    several = lines({"at": 1, "partitions": named(0, 1)}, {"at": 2, "partitions": named(0), "allPartitions": True},
                    {"at": 3, "partitions": named(0)})
    assert [isinstance(look.snapshot.complete(), Unknown) for look in looks_of(several)] == [False, False, False]


BAD = [
    (b"", None),
    (b"nonsense", "not a JSON object: Expecting value at column 1"),
    (b"\xff", "not a JSON object"),
    (b"[" * 100_000, "not a JSON object"),
    (b'{"at": ' + b"9" * 5000 + b"}", "not a JSON object"),
    (b'{"at": ' + b"9" * 400 + b"}", "at: "),
    (b"[]", "Input should be an object"),
    (b"{}", "at: Field required"),
    (b'{"at": NaN}', "NaN"),
    (b'{"at": 1e999}', "at: "),
    (b'{"at": "1"}', "at: Input should be a valid number"),
    (b'{"at": true}', "at: "),
    (b'{"at": -1}', "at: "),
    (b'{"at": 2, "at": 3}', "at: named twice"),
    (b'{"at": 5, "decidedAt": 4}', "decidedAt: 4.0 is before at, 5.0"),
    (b'{"at": 5, "grupe": null}', "grupe: unknown field"),
    (b'{"at": 5, "\\u001b[31m": 1}', "\\x1b[31m: unknown field"),
    (b'{"at": 5, "partitions": []}', "partitions: Input should be an object"),
    (b'{"at": 5, "partitions": {"orders": null}}', "partitions.orders: a partition is written topic/number"),
    (b'{"at": 5, "partitions": {"a/b/0": null}}', "partitions.a/b/0: a partition is written topic/number"),
    (b'{"at": 5, "partitions": {"orders/01": null}}', "partitions.orders/01: a partition is written topic/number"),
    (b'{"at": 5, "partitions": {"orders/0": 7}}', "partitions.orders/0: Input should be an object"),
    (b'{"at": 5, "partitions": {"orders/0": {"end": 7}}}', "partitions.orders/0.committed: Field required"),
    (b'{"at": 5, "partitions": {"o/0": {"end": -1, "committed": 0}}}', "partitions.o/0.end: "),
    (b'{"at": 5, "partitions": {"o/0": {"end": 1.5, "committed": 0}}}', "partitions.o/0.end: "),
    (b'{"at": 5, "partitions": {"o/0": {"end": 1, "committed": true}}}', "partitions.o/0.committed: "),
    (b'{"at": 5, "partitions": {"o/0": {"end": 1, "committed": 0, "lag": 1}}}', "partitions.o/0.lag: unknown field"),
    (b'{"at": 5, "group": {}}', "group.state: Field required"),
    (b'{"at": 5, "group": {"state": "Stable", "members": [{"id": 1}]}}', "group.members.0.id: "),
    (b'{"at": 5, "group": {"unknown": "x", "reason": "Odd"}}', "group.reason: Input should be one of the reasons"),
    (b'{"at": 5, "replicas": {"spec": 1}}', "replicas.ready: Field required"),
    (b'{"at": 5, "memory": 1}', "memory: Input should be an object"),
    (b'{"at": 5, "details": []}', "details: Input should be an object"),
    (b'{"at": 5, "details": {"bytes": {}}}', "details.bytes: unknown field"),
    (b'{"at": 5, "details": {"recordBytes": {"orders": 0}}}', "details.recordBytes.orders: "),
    (b'{"at": 5, "details": {"recordBytes": {"a b": 1}}}', "details.recordBytes.a b: "),
    (b'{"at": 5, "details": {"highWatermarks": {"orders": 9}}}', "details.highWatermarks.orders: a partition is"),
    (b'{"at": 5, "details": {"highWatermarks": {"orders/0": "9"}}}', "details.highWatermarks.orders/0: "),
    (b'{"at": 5, "details": {"offsetsRetentionSeconds": -1}}', "details.offsetsRetentionSeconds: "),
    (b'{"at": 5, "scaled": {"at": 5}}', "scaled.to: Field required"),
]


@pytest.mark.parametrize(("line", "complaint"), BAD)
def test_a_bad_line_is_one_sentence_with_its_number_and_field(line: bytes, complaint: str | None) -> None:
    several = [b'{"at": 1}\n', b"  \n", line + b"\n"]
    if complaint is None:
        assert len(list(looks_of(several))) == 1
        return
    with pytest.raises(BadLook) as refused:
        list(looks_of(several))
    assert str(refused.value).startswith(f"line 3: {complaint}")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("at", [1, 0.5])
def test_time_goes_forward(at: float) -> None:
    with pytest.raises(BadLook, match=r"line 2: at: .* is not later than 1.0 of the line before"):
        list(looks_of(lines({"at": 1}, {"at": at})))


PRINTABLE = r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]+\Z"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(sorted(WHOLE)), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*WHOLE, "decidedAt", "scaled", "memory", "allPartitions", "details"]), JSON))
def test_any_junk_is_a_look_or_a_bad_line(spoilt: dict[str, Any]) -> None:
    line = json.dumps(WHOLE | spoilt)
    try:
        assert isinstance(look_from_json(line), Look)
    except BadLook:
        with pytest.raises(BadLook, match=PRINTABLE):
            look_from_json(line)
