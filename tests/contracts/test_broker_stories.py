"""What is decided on readings of a real broker. Only the time is told: polls count as 15 s apart, and take none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Fallback, OffsetReset, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Snapshot, Unknown
from kafka_consumer_scaler.core.verdict import Abstain, ConditionType, ScaleTo, Verdict
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.lag_source import GroupQuery, LagSource
from tests.contracts.test_lag_source import (
    DEADLINE_SECONDS,
    Cluster,
    delete_records_before,
    fresh,
    is_asking_brokers,
)
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.cluster
POLICY = Policy(max_replicas=12, offset_reset=OffsetReset.EARLIEST)


@dataclass
class Watcher:
    """An operator's look at one group, again and again."""

    source: LagSource
    query: GroupQuery
    policy: Policy = POLICY
    replicas: int = 2
    at: float = 1_700_000_000.0
    history: History = field(default_factory=History)
    memory: Memory = field(default_factory=Memory)
    verdicts: list[Verdict] = field(default_factory=list)

    def look(self) -> Verdict:
        self.at += self.policy.polling_interval_seconds
        [sample] = self.source.poll([self.query], DEADLINE_SECONDS)
        self.history = self.history.append(Snapshot(self.at, sample.partitions, sample.group, sample.details))
        current = Replicas(self.replicas, self.replicas)
        verdict = decide(self.policy, self.history, current, self.memory, self.at)
        self.memory = verdict.memory
        self.verdicts.append(verdict)
        return verdict

    def reasons(self) -> list[Reason]:
        """The events, oldest first."""
        return [event.reason for verdict in self.verdicts for event in verdict.events]

    def moves(self) -> list[int]:
        return [each.decision.replicas for each in self.verdicts if isinstance(each.decision, ScaleTo)]


def found(verdict: Verdict) -> dict[Reason, str]:
    return {finding.reason: finding.evidence for finding in verdict.findings}


@pytest.fixture
def source(kafka_bootstrap_servers: str) -> LagSource:
    """Nothing is believed for longer than a poll."""
    return LagSource(Connection(kafka_bootstrap_servers), cache_seconds=0.0)


def test_records_that_retention_deleted_before_they_were_read_are_counted_and_said_once(
    cluster: Cluster, source: LagSource
) -> None:
    topic, group = cluster.topic(partitions=2), fresh("group")
    cluster.produce(topic, 100)
    cluster.commit(group, topic, 10)
    watcher = Watcher(source, GroupQuery(group))
    assert found(watcher.look()) == {}
    delete_records_before(cluster, topic, 60)
    for _ in range(4):
        verdict = watcher.look()
    told = f"at least 50 records of {topic}/0 were deleted before the group processed them"
    assert found(verdict)[Reason.RECORDS_LOST] == told
    assert verdict.measurements.lag_records == 40
    assert watcher.reasons().count(Reason.RECORDS_LOST) == 1
    assert not isinstance(verdict.situation, Unknown)
    assert verdict.situation.lost_records == 50


def test_a_deleted_topic_holds_until_the_users_fallback_and_a_recreated_one_is_flagged(
    cluster: Cluster, source: LagSource
) -> None:
    topic, group = cluster.topic(), fresh("group")
    cluster.produce(topic, 100)
    cluster.commit(group, topic, 40)
    watcher = Watcher(source, GroupQuery(group, topics=(topic,)), replace(POLICY, fallback=Fallback(3, 5)))
    watcher.look()
    cluster.delete(topic)
    gone = [watcher.look() for _ in range(3)]
    assert [type(verdict.decision) for verdict in gone] == [Abstain, Abstain, ScaleTo]
    assert {verdict.condition(ConditionType.METRICS_AVAILABLE).reason for verdict in gone} == {Reason.TOPIC_NOT_FOUND}
    assert watcher.moves() == [5]
    watcher.replicas = 5
    cluster.topic(name=topic)
    cluster.produce(topic, 7)
    again = watcher.look()
    assert again.measurements.lag_records == 7
    assert f"the end of {topic} fell" in found(again)[Reason.TOPIC_RECREATED]
    assert watcher.reasons()[-3:] == [Reason.METRICS_UNAVAILABLE, Reason.METRICS_RECOVERED, Reason.TOPIC_RECREATED]


def test_a_topic_that_never_was_holds_and_never_asks_for_the_maximum(cluster: Cluster, source: LagSource) -> None:
    watcher = Watcher(source, GroupQuery(fresh("group"), topics=(fresh("topic"),)))
    for _ in range(10):
        verdict = watcher.look()
        assert isinstance(verdict.decision, Abstain)
        assert verdict.condition(ConditionType.READY).reason is Reason.TOPIC_NOT_FOUND
    assert watcher.reasons() == [Reason.METRICS_UNAVAILABLE]


def test_a_consumer_that_never_commits_is_warned_of_and_not_scaled(cluster: Cluster, source: LagSource) -> None:
    topic, group = cluster.topic(partitions=4), fresh("group")
    consumer = cluster.consumer(group)
    consumer.subscribe([topic])
    watcher = Watcher(source, GroupQuery(group, topics=(topic,)))
    for _ in range(10):
        cluster.produce(topic, 400)
        assert consumer.consume(100, timeout=PATIENCE_SECONDS)
        verdict = watcher.look()
    consumer.close()
    assert watcher.moves() == []
    assert verdict.condition(ConditionType.READY).reason is Reason.NO_COMMITTED_OFFSETS
    assert "has members and commits no offsets" in verdict.message
    assert watcher.reasons() == [Reason.METRICS_UNAVAILABLE]


def test_more_partitions_raise_what_is_useful(cluster: Cluster, source: LagSource) -> None:
    topic, group = cluster.topic(partitions=2), fresh("group")
    cluster.produce(topic, 5000)
    cluster.commit(group, topic, 0)
    watcher = Watcher(source, GroupQuery(group), replace(POLICY, lag_per_replica=100))
    assert watcher.look().measurements.useful_replicas == 2
    cluster.add_partitions(topic, 6)
    assert watcher.look().measurements.useful_replicas == 6


def test_a_compacted_topic_is_said(cluster: Cluster) -> None:
    """A broker that was not asked in time is asked again by another source."""
    topic, group = cluster.topic(config={"cleanup.policy": "compact"}), fresh("group")
    cluster.produce(topic, 10)
    cluster.commit(group, topic, 0)

    def compacted() -> frozenset[str]:
        watcher = Watcher(LagSource(Connection(cluster.servers), cache_seconds=0.0), GroupQuery(group))
        watcher.look()
        eventually(lambda: not is_asking_brokers())
        situation = watcher.look().situation
        assert not isinstance(situation, Unknown)
        return situation.details.compacted

    eventually(lambda: compacted() == {topic})
    cluster.delete(topic)
