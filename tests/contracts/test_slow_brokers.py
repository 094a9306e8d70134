"""Brokers that are silent, throttle us, or have very many partitions."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest
from confluent_kafka.admin import NewPartitions

from kafka_consumer_scaler.control.pace import Pace
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.lag_source import GroupQuery, LagSource
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from tests.contracts.test_lag_source import DEADLINE_SECONDS, Cluster, eventually, fresh
from tests.environment import Environment
from tests.trials import awaited_in_one_of_several_trials

pytestmark = pytest.mark.cluster
CLUSTERS, ROUNDS = 20, 5
MANY_PARTITIONS, AT_ONCE = 10_000, 2_000
NOISE_TIMES, NOISE_SECONDS = 2.0, 0.1


@pytest.fixture
def black_hole() -> Iterator[Connection]:
    """Takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(100)
        yield Connection(f"127.0.0.1:{server.getsockname()[1]}")


async def poll_seconds(process: PollingProcess, connections: list[Connection], group: str) -> list[float]:
    """How long each of the clusters takes to answer, when all are polled at once, several times."""

    async def timed(connection: Connection) -> float:
        began = time.monotonic()
        [sample] = await process.poll(connection, [GroupQuery(group)], DEADLINE_SECONDS)
        assert not isinstance(sample.partitions, Unknown), sample.partitions
        return time.monotonic() - began

    rounds = [await asyncio.gather(*map(timed, connections)) for _ in range(ROUNDS)]
    return [seconds for each in rounds for seconds in each]


async def test_one_silent_cluster_of_twenty_leaves_the_poll_times_of_the_others_as_they_were(
    cluster: Cluster, black_hole: Connection
) -> None:
    """The nineteen are one broker under nineteen spellings of its address, each with a client and a thread."""
    topic, group = cluster.topic(partitions=4), fresh("group")
    cluster.commit(group, topic, 0)
    others = [Connection(",".join([cluster.servers] * number)) for number in range(1, CLUSTERS)]
    process = PollingProcess()
    await process.start()

    async def times_are_as_they_were() -> None:
        before = await poll_seconds(process, others, group)
        silent = asyncio.create_task(process.poll(black_hole, [GroupQuery(group)], 60))
        beside = await poll_seconds(process, others, group)
        is_silent = not silent.done()
        [sample] = await silent
        ratio = median(beside) / median(before)
        print(f"{CLUSTERS - 1} clusters, median of {len(before)} polls: {1000 * median(before):.0f} ms alone, "
              f"{1000 * median(beside):.0f} ms beside a silent one: {ratio:.2f} times")
        assert isinstance(sample.partitions, Unknown)
        assert sample.partitions.reason is Reason.BROKERS_UNREACHABLE
        assert is_silent
        assert median(beside) <= NOISE_TIMES * median(before) + NOISE_SECONDS

    try:
        await poll_seconds(process, others, group)
        await awaited_in_one_of_several_trials(times_are_as_they_were)
    finally:
        await process.stop()


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

    free = polls(5)
    with throttled(cluster.servers, client, 0.01):
        slow = polls(4)
    print(f"a poll takes {median(free):.2f} s, throttled {median(slow):.2f} s")
    pace = Pace()
    for seconds in slow:
        pace = pace.after_poll(seconds, interval_seconds=1)
    assert median(slow) > 3 * median(free)
    assert pace.stretch > 1


def test_ten_thousand_partitions_take_as_many_requests_as_ten(cluster: Cluster, environment: Environment) -> None:
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
        cluster.admin.create_partitions([NewPartitions(topic, count)])[topic].result()
        eventually(lambda count=count: cluster.partitions(topic) == count, 600)  # type: ignore[misc]
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
