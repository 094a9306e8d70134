"""How tests count the operator's polls."""

from __future__ import annotations

import math

from kafka_consumer_scaler.api.snapshots import Look
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Reading, Replicas, Snapshot, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.telemetry.metrics import Metrics
from tests.api.verdicts import VERDICT
from tests.cluster.decided import Poll, commits, polls_until
from tests.cluster.polls import decisions


def poll(at: float, committed: int | None = None) -> Poll:
    """One of a group that has committed so much."""
    reading = Reading(100, Uncommitted() if committed is None else committed)
    snapshot = Snapshot(at, {TopicPartition("orders", 0): reading}, Unknown("nobody asked"))
    return Poll(Look(snapshot, Replicas(1, 1), at), VERDICT)


def test_decisions_are_those_of_one_resource_whatever_was_decided() -> None:
    metrics = Metrics()
    for namespace, name in [("shop", "orders"), ("shop", "orders"), ("shop", "s-orders"), ("other", "orders")]:
        metrics.observe_verdict(namespace, name, VERDICT, Policy(max_replicas=12))
    shown = metrics.exposition().decode()
    assert [decisions(shown, "shop"), decisions(shown, "other"), decisions(shown, "shop", "s-orders")] == [2, 1, 1]
    assert decisions(shown, "none") == 0


def test_the_next_poll_is_the_first_after_a_time_and_one_before_is_none_after_it() -> None:
    polls = [poll(at) for at in (0, 5, 10, 25)]
    assert polls_until(polls, 7, lambda one: one.at >= 10) == 1
    assert polls_until(polls, 7, lambda one: one.at >= 25) == 2
    assert polls_until(polls, 7, lambda one: one.at == 5) == 0
    assert polls_until(polls, 7, lambda one: one.at > 99) == math.inf


def test_commits_are_the_polls_at_which_more_was_committed() -> None:
    assert commits([poll(0), poll(1), poll(2, 10), poll(3, 10), poll(4, 30), poll(5, 30)]) == [2, 4]
