"""A group that its coordinator calls Dead may be a share group; which it is, the brokers' lists of groups tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, TopicPartition, Unknown
from kafka_consumer_scaler.kafka import brokers
from kafka_consumer_scaler.kafka.brokers import group_types, types_of
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.group_types import Answer, GroupTypes, not_served
from tests.ports import refusing
from tests.waiting import PATIENCE_SECONDS

THERE = Connection("kafka:9092")
DEAD = Group("Dead")
SILENT = Unknown("broker 2 did not list its groups")
OFFSETS = {TopicPartition("orders", 0): 5}
LISTED = [
    {"group_id": "shared", "protocol_type": "share", "group_state": "Stable", "group_type": "share"},
    {"group_id": "flow", "protocol_type": "streams", "group_state": "Stable", "group_type": "Streams"},
    {"group_id": "old", "protocol_type": "consumer", "group_state": "Empty", "group_type": "classic"},
    {"group_id": "ancient", "protocol_type": "consumer"},
    {"group_id": "other", "protocol_type": "share", "group_state": "Empty", "group_type": "share"},
]
"""As kafka-python has the answer of Kafka 4.4; `ancient` as a broker answers before version 5."""


class Brokers:
    """Answers when it may, and counts how often it was asked."""

    def __init__(self, told: Mapping[str, str] | Unknown, *, may_answer: bool = True) -> None:
        self.told, self.may_answer = told, threading.Event()
        self.asked: list[set[str]] = []
        if may_answer:
            self.may_answer.set()

    def __call__(self, connection: Connection, groups: Collection[str]) -> Mapping[str, str] | Unknown:
        self.asked.append(set(groups))
        assert self.may_answer.wait(PATIENCE_SECONDS)
        return self.told


def told(types: GroupTypes, states: Mapping[str, Group | Unknown], seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """What one poll is told."""
    types.begin(states)
    return types.told(states, time.monotonic() + seconds)


def test_only_the_groups_asked_about_are_told_and_only_with_a_type() -> None:
    found = types_of(LISTED, {"shared", "flow", "old", "ancient", "missing"})
    assert found == {"shared": "share", "flow": "streams", "old": "classic"}


@pytest.mark.parametrize("kind", ["share", "streams"])
def test_a_group_of_a_type_that_is_not_served_is_unknown_for_that_reason_whatever_its_offsets(kind: str) -> None:
    for committed in (OFFSETS, {}, SILENT):
        problem = not_served("orders", kind, committed)
        assert problem is not None
        assert problem.reason is Reason.GROUP_TYPE_NOT_SUPPORTED
        assert problem.why.startswith(f"group orders is a {kind} group, which is not served yet")


@pytest.mark.parametrize("kind", ["", "classic", "consumer"])
def test_a_group_that_does_not_exist_or_was_made_a_moment_ago_is_read_as_before(kind: str) -> None:
    assert not_served("orders", kind, {}) is None


def test_without_an_answer_a_dead_group_without_offsets_is_unknown_and_says_why() -> None:
    problem = not_served("orders", SILENT, {})
    assert problem is not None
    assert problem.reason is Reason.METRICS_UNAVAILABLE
    assert problem.why.endswith("could not be read: broker 2 did not list its groups")


def test_without_an_answer_committed_offsets_are_still_believed_since_a_share_group_has_none() -> None:
    assert not_served("orders", SILENT, OFFSETS) is None


def test_groups_that_are_not_dead_cost_no_request() -> None:
    brokers = Brokers({})
    assert told(GroupTypes(THERE, brokers), {"a": Group("Stable"), "b": Group("Empty"), "c": SILENT}) == {}
    assert brokers.asked == []


def test_one_request_asks_about_all_dead_groups_and_the_next_poll_asks_nothing() -> None:
    brokers = Brokers({"shared": "share"})
    types = GroupTypes(THERE, brokers)
    states = {"shared": DEAD, "missing": DEAD, "fine": Group("Stable")}
    for _ in range(3):
        assert told(types, states) == {"shared": "share", "missing": ""}
    assert brokers.asked == [{"shared", "missing"}]


def test_an_answer_that_is_late_is_told_by_a_later_poll_and_nobody_asks_twice_for_it() -> None:
    brokers = Brokers({"shared": "share"}, may_answer=False)
    types = GroupTypes(THERE, brokers)
    late = Unknown("the brokers did not list their groups in time")
    assert [told(types, {"shared": DEAD}, 0.0) for _ in range(3)] == [{"shared": late}] * 3
    brokers.may_answer.set()
    assert told(types, {"shared": DEAD}) == {"shared": "share"}
    assert brokers.asked == [{"shared"}]


def test_a_group_that_dies_while_the_brokers_are_asked_about_another_waits_for_its_turn() -> None:
    brokers = Brokers({"shared": "share", "second": "streams"}, may_answer=False)
    types = GroupTypes(THERE, brokers)
    told(types, {"shared": DEAD}, 0.0)
    assert isinstance(told(types, {"shared": DEAD, "second": DEAD}, 0.0)["second"], Unknown)
    brokers.may_answer.set()
    told(types, {"shared": DEAD, "second": DEAD})
    assert told(types, {"shared": DEAD, "second": DEAD}) == {"shared": "share", "second": "streams"}
    assert brokers.asked == [{"shared"}, {"second"}]


def test_a_group_that_stays_dead_is_asked_about_ever_more_seldom_and_after_silence_soon() -> None:
    pauses, last = [], None
    for _ in range(6):
        last = Answer.after(last, "", now=100.0)
        pauses.append(last.until - 100.0)
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert Answer.after(last, SILENT, now=100.0).until == 105.0


def test_a_type_that_is_not_served_stays_known_while_the_brokers_are_silent() -> None:
    assert Answer.after(Answer("share", 0.0, 60.0), SILENT, now=0.0).said == "share"
    assert Answer.after(Answer("", 0.0, 60.0), SILENT, now=0.0).said == SILENT


class Admin:
    """Lists groups as kafka-python does; a broker that is None raises."""

    def __init__(self, groups: Mapping[int, list[dict[str, Any]] | None]) -> None:
        self.groups = groups

    def describe_cluster(self) -> dict[str, Any]:
        fenced = {"broker_id": 9, "is_fenced": True}
        return {"brokers": [*({"broker_id": each} for each in self.groups), fenced]}

    def list_groups(self, broker_ids: list[int]) -> list[dict[str, Any]]:
        said = self.groups[broker_ids[0]]
        if said is None:
            raise TimeoutError
        return said


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Its `groups` are what the brokers list."""
    given = SimpleNamespace(groups={})

    @contextmanager
    def connected(connection: Connection) -> Iterator[Admin]:
        yield Admin(given.groups)

    monkeypatch.setattr(brokers, "connected", connected)
    return given


def test_each_broker_lists_the_groups_that_it_coordinates(listing: SimpleNamespace) -> None:
    listing.groups = {1: LISTED[:1], 2: LISTED[1:]}
    assert group_types(THERE, ["shared", "flow", "missing"]) == {"shared": "share", "flow": "streams"}


def test_a_silent_broker_matters_only_for_what_no_other_lists(listing: SimpleNamespace) -> None:
    listing.groups = {1: LISTED, 2: None}
    assert group_types(THERE, ["shared"]) == {"shared": "share"}
    assert group_types(THERE, ["shared", "missing"]) == SILENT


def test_without_any_broker_the_types_are_unknown() -> None:
    with refusing() as port:
        assert isinstance(group_types(Connection(f"127.0.0.1:{port}"), ["orders"]), Unknown)
