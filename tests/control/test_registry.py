"""The registry: fed by a watch that may miss deletions, and by a LIST that does not."""

from __future__ import annotations

import json

import pytest

from kafka_consumer_scaler.control.registry import Registry, Watched
from kafka_consumer_scaler.core.history import History
from tests.control.fakes import Outside, resource


@pytest.fixture
def forgotten() -> list[str]:
    return []


@pytest.fixture
def registry(forgotten: list[str]) -> Registry:
    return Registry(Outside(), on_forget=lambda gone: forgotten.append(gone.uid))


def only(registry: Registry) -> Watched:
    (watched,) = registry.all()
    return watched


def test_what_a_list_does_not_name_is_dropped(registry: Registry, forgotten: list[str]) -> None:
    registry.put(resource("a", "u1"))
    registry.put(resource("b", "u2"))
    registry.replace([resource("b", "u2")], before=registry.uids())
    assert [each.uid for each in registry.all()] == ["u2"]
    assert forgotten == ["u1"]


def test_what_the_watch_told_of_during_a_list_is_kept(registry: Registry) -> None:
    registry.put(resource("a", "u1", generation=2, maxReplicas=3))
    registry.put(resource("b", "u2"))
    registry.replace([resource("a", "u1", generation=1)], before=frozenset({"u1"}))
    assert registry.uids() == {"u1", "u2"}
    changed = next(each for each in registry.all() if each.uid == "u1")
    assert changed.subject is not None
    assert changed.subject.policy.max_replicas == 3, "the LIST was older"


def test_a_recreated_resource_takes_the_place_of_its_namesake(registry: Registry, forgotten: list[str]) -> None:
    registry.put(resource(uid="old"))
    registry.put(resource(uid="new"))
    assert only(registry).uid == "new"
    assert forgotten == ["old"]


def test_a_resource_that_is_being_deleted_is_dropped_at_once(registry: Registry) -> None:
    registry.put(resource())
    deleting = resource()
    deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    registry.put(deleting)
    assert len(registry) == 0


def test_a_changed_limit_keeps_the_history_and_a_changed_group_starts_a_new_one(registry: Registry) -> None:
    registry.put(resource())
    watched = only(registry)
    watched.history = History(failures=7)
    registry.put(resource(generation=2, maxReplicas=3))
    assert watched.history.failures == 7
    registry.put(resource(generation=3, maxReplicas=3, consumerGroup="others"))
    assert watched.history == History()


def test_our_own_status_writes_change_nothing(registry: Registry) -> None:
    registry.put(resource())
    registry.changed.clear()
    subject = only(registry).subject
    registry.put({**resource(), "status": {"backlog": "CaughtUp"}})
    assert only(registry).subject is subject
    assert not registry.changed.is_set()


def test_an_unreadable_resource_is_kept_with_its_problem(registry: Registry) -> None:
    registry.put(resource(minReplicas=5, maxReplicas=2))
    watched = only(registry)
    assert watched.subject is None
    assert "minReplicas" in watched.problem
    assert registry.connections() == frozenset()


def test_the_memory_of_the_status_is_taken_up(registry: Registry) -> None:
    scales = [{"at": 1_699_999_000.0, "before": 1, "after": 4}]
    registry.put({**resource(), "status": {"memory": json.dumps({"version": 1, "scales": scales})}})
    last = only(registry).memory.last_scale
    assert last is not None
    assert (last.before, last.after) == (1, 4)


def test_the_oldest_of_several_on_one_target_has_no_rival(registry: Registry) -> None:
    registry.put(resource("younger", "u1", created="2026-01-01T00:00:05Z"))
    registry.put(resource("older", "u2", created="2026-01-01T00:00:00Z"))
    by_name = {each.name: each for each in registry.all()}
    target = by_name["older"].subject.target  # type: ignore[union-attr]
    assert registry.older_rival(by_name["older"], target) is None
    assert registry.older_rival(by_name["younger"], target) is by_name["older"]
    registry.drop("u2")
    assert registry.older_rival(by_name["younger"], target) is None


def test_an_older_resource_that_only_advises_is_no_rival(registry: Registry) -> None:
    registry.put(resource("younger", "u1", created="2026-01-01T00:00:05Z"))
    registry.put(resource("older", "u2", created="2026-01-01T00:00:00Z", mode="Advisory"))
    younger = registry.all()[0]
    assert younger.subject is not None
    assert registry.older_rival(younger, younger.subject.target) is None
