"""Brokers that throttle us, or have very many partitions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from kafka_consumer_scaler.control.pace import Pace
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.lag_source import GroupQuery, LagSource
from tests.contracts.test_lag_source import DEADLINE_SECONDS, Cluster, fresh
from tests.environment import Environment
from tests.sizes import full
from tests.waiting import eventually

pytestmark = pytest.mark.cluster
MANY_PARTITIONS, AT_ONCE = full(2_000, 10_000), 2_000


@contextlib.contextmanager
def throttled(servers: str, client: str, percentage: float) -> Iterator[None]:
    """The broker gives this client id so little of its time."""
    from kafka.admin import KafkaAdminClient  # type: ignore[import-untyped]
    from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest  # type: ignore[import-untyped]

    admin = KafkaAdminClient(bootstrap_servers=servers.split(","))

    def alter(remove: bool) -> None:
        entry = AlterClientQuotasRequest.EntryData
        entity = entry.EntityData(entity_type="client-id", entity_name=client)
        quota = entry.OpData(key="request_percentage", value=percentage, remove=remove)
        entries = [entry(entity=[entity], ops=[quota])]
        answer = admin._manager.run(
            admin._manager.send, AlterClientQuotasRequest(entries=entries, validate_only=False))
        assert [each.error_code for each in answer.entries] == [0]

    alter(remove=False)
    try:
        yield
    finally:
        alter(remove=True)
        admin.close()


def test_brokers_that_throttle_the_operator_are_asked_less_often(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, group, topic = fresh("client"), fresh("group"), cluster.topic(partitions=8)
    cluster.commit(group, topic, 0)
    known = Connection.as_librdkafka

    def named(connection: Connection) -> dict[str, Any]:
        return {**known(connection), "client.id": client}

    monkeypatch.setattr(Connection, "as_librdkafka", named)
    source, query = LagSource(Connection(cluster.servers), cache_seconds=0.0), GroupQuery(group)

    def polls(count: int) -> list[float]:
        taken = []
        for _ in range(count):
            began = time.monotonic()
            [sample] = source.poll([query], DEADLINE_SECONDS)
            assert not isinstance(sample.partitions, Unknown), sample.partitions
            taken.append(time.monotonic() - began)
        return taken

    free, slow, pace = polls(5), list[float](), Pace()

    def asks_less_often() -> bool:
        nonlocal pace
        slow.extend(polls(1))
        pace = pace.after_poll(slow[-1], interval_seconds=1)
        return pace.stretch > 1

    with throttled(cluster.servers, client, 0.01):
        eventually(asks_less_often, what="three slow polls in a row")
    print(f"a poll takes {median(free):.2f} s, throttled {median(slow[-3:]):.2f} s")
    assert median(slow[-3:]) > median(free)


def test_thousands_of_partitions_take_as_many_requests_as_ten(cluster: Cluster, environment: Environment) -> None:
    environment.broker_request_counts()
    asked = {}
    for partitions in (10, MANY_PARTITIONS):
        topic, group = large_topic(cluster, partitions), fresh("group")
        cluster.commit(group, topic, 0)
        source, query = LagSource(Connection(cluster.servers)), GroupQuery(group, topics=(topic,))
        source.poll([query], 2 * DEADLINE_SECONDS)
        asked[partitions] = min(requests(environment, source, query) for _ in range(3))
    print(f"requests of one poll by partitions: {asked}")
    assert asked[MANY_PARTITIONS] <= asked[10] + 2


def large_topic(cluster: Cluster, partitions: int) -> str:
    """A controller makes no more than some thousand partitions at once."""
    topic = cluster.topic(min(partitions, AT_ONCE))
    for count in range(2 * AT_ONCE, partitions + 1, AT_ONCE):
        cluster.add_partitions(topic, count)
    return topic


def requests(environment: Environment, source: LagSource, query: GroupQuery) -> int:
    """ListOffsets, OffsetFetch, DescribeGroups and Metadata that the broker got while one poll was answered."""
    apis = ("ListOffsets", "OffsetFetch", "ConsumerGroupDescribe", "DescribeGroups", "Metadata", "FindCoordinator")
    before = environment.broker_request_counts()
    began = time.monotonic()
    [sample] = source.poll([query], 2 * DEADLINE_SECONDS)
    taken = time.monotonic() - began
    after = environment.broker_request_counts()
    assert not isinstance(sample.partitions, Unknown), sample.partitions
    print(f"{len(sample.partitions):,} partitions in {taken:.2f} s")
    return sum(after.get(api, 0) - before.get(api, 0) for api in apis)
