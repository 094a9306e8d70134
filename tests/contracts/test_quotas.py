"""Quotas of producers on a real broker: set, read, taken away; which one holds; and who may not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation, ResourceType

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import TopicPartition, Unknown
from kafka_consumer_scaler.kafka.brokers import connected
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism
from kafka_consumer_scaler.kafka.entities import Change, Entity, Quotas, Standing
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kafka.sample import GroupQuery
from tests.contracts.secured_group import set_password
from tests.contracts.test_lag_source import Cluster, fresh
from tests.oidc import Provider
from tests.secured import SecuredBroker, allow
from tests.trials import awaited_in_one_of_several_trials
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.cluster
DEADLINE_SECONDS = 60.0
ODD = "web/1 %=,é"


@pytest.fixture
def connection(kafka_bootstrap_servers: str) -> Connection:
    return Connection(kafka_bootstrap_servers)


@pytest_asyncio.fixture
async def web(process: PollingProcess, connection: Connection) -> AsyncIterator[Entity]:
    """Producers with a client id of their own, whose quota is taken away at the end."""
    entity = Entity(client_id=fresh(ODD))
    yield entity
    await _set(process, connection, entity, None)


@pytest_asyncio.fixture
async def shop(process: PollingProcess, connection: Connection) -> AsyncIterator[Entity]:
    """A user."""
    entity = Entity(user=fresh(ODD))
    yield entity
    await _set(process, connection, entity, None)


async def _standing(process: PollingProcess, connection: Connection, entity: Entity) -> Standing:
    told = await process.quotas(connection, [entity], DEADLINE_SECONDS)
    assert isinstance(told, Quotas), told
    return told.standings[entity]


async def _set(process: PollingProcess, connection: Connection, entity: Entity, rate: int | None) -> None:
    """Set it whatever is there, and wait until the broker has it."""
    before = (await _standing(process, connection, entity)).own
    [found] = (await process.change_quotas(connection, [Change(entity, frozenset({before}), rate)],
                                           DEADLINE_SECONDS)).values()
    assert found == before
    await _until_own(process, connection, entity, rate)


async def _until_own(process: PollingProcess, connection: Connection, entity: Entity, rate: int | None) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await _standing(process, connection, entity)).own != rate:
            await asyncio.sleep(0.1)


@contextmanager
def other_quota(connection: Connection, names: Mapping[str, str | None], rate: float) -> Iterator[None]:
    """A quota that somebody else set, until the context ends."""
    _alter(connection, names, rate)
    try:
        yield
    finally:
        _alter(connection, names, None)


def _alter(connection: Connection, names: Mapping[str, str | None], rate: float | None) -> None:
    from kafka.protocol.admin.client_quotas import (  # type: ignore[import-untyped]
        AlterClientQuotasRequest as Request,
    )

    entity = [Request.EntryData.EntityData(entity_type=kind, entity_name=name) for kind, name in names.items()]
    operation = Request.EntryData.OpData(key="producer_byte_rate", value=rate or 0.0, remove=rate is None)
    request: Any = Request(entries=[Request.EntryData(entity=entity, ops=[operation])], validate_only=False)
    with connected(connection) as admin:
        [entry] = admin._manager.run(admin._manager.send, request).entries
    assert entry.error_code == 0, entry.error_message


async def test_quotas_of_a_client_id_and_a_user_are_set_read_lowered_and_taken_away(
    web: Entity, shop: Entity, process: PollingProcess, connection: Connection
) -> None:
    for entity in (web, shop):
        assert await _standing(process, connection, entity) == Standing()
        for rate in (5_000_000, 1, None):
            await _set(process, connection, entity, rate)
        assert await _standing(process, connection, entity) == Standing()


async def test_what_was_not_expected_is_told_and_left_as_it_is(
    web: Entity, process: PollingProcess, connection: Connection
) -> None:
    await _set(process, connection, web, 700)
    refused = await process.change_quotas(connection, [Change(web, frozenset({None, 500}), 9)], DEADLINE_SECONDS)
    assert refused == {web: 700}
    assert (await _standing(process, connection, web)).own == 700


async def test_producers_are_held_to_what_was_set(
    web: Entity, process: PollingProcess, connection: Connection, cluster: Cluster
) -> None:
    """1,000,000 bytes at 100,000 bytes/s: the broker lets a window of 10 s pass, so less than 10 s, and not at once."""
    topic = cluster.topic()
    await _set(process, connection, web, 100_000)
    producer = Producer({"bootstrap.servers": connection.bootstrap_servers, "client.id": web.client_id,
                         "batch.size": 20_000})
    began = time.monotonic()
    for _ in range(200):
        producer.produce(topic, bytes(10_000))
        producer.poll(0)
    assert await asyncio.to_thread(producer.flush, PATIENCE_SECONDS) == 0
    assert time.monotonic() - began > 5


@pytest.mark.parametrize(("names", "words"), [
    ({"user": None, "client-id": "WEB"}, "the quota of any user with client-id WEB"),
    ({"user": "somebody", "client-id": "WEB"}, "the quota of user somebody with client-id WEB"),
])
async def test_a_more_specific_quota_is_named(
    names: dict[str, str | None], words: str, web: Entity, process: PollingProcess, connection: Connection
) -> None:
    assert web.client_id is not None
    named = {kind: web.client_id if name == "WEB" else name for kind, name in names.items()}
    with other_quota(connection, named, 1e12):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (told := await _standing(process, connection, web)).overridden_by:
                await asyncio.sleep(0.1)
    assert told.overridden_by == words.replace("WEB", web.client_id)


async def test_a_users_quota_for_every_client_id_goes_before_the_users_own(
    shop: Entity, process: PollingProcess, connection: Connection
) -> None:
    with other_quota(connection, {"user": shop.user, "client-id": None}, 1e12):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (told := await _standing(process, connection, shop)).overridden_by:
                await asyncio.sleep(0.1)
    assert told == Standing(overridden_by=f"the quota of user {shop.user} with any client-id")


async def test_the_quota_of_any_user_overrides_a_client_ids_and_is_inherited_by_a_user(
    web: Entity, shop: Entity, process: PollingProcess, connection: Connection
) -> None:
    with other_quota(connection, {"user": None}, 1e12):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (told := await _standing(process, connection, web)).overridden_by:
                await asyncio.sleep(0.1)
        assert told.overridden_by == "the quota of any user"
        assert await _standing(process, connection, shop) == Standing(inherited=10**12)


class TestOnASecuredBroker:
    """Whoever lacks a right is told the command that grants it."""

    @pytest.mark.parametrize("way", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "mutual TLS"])
    async def test_quotas_are_set_by_every_way_in(
        self, way: str, broker: SecuredBroker, provider: Provider, web: Entity, process: PollingProcess,
        kafka_bootstrap_servers: str, connection: Connection,
    ) -> None:
        allow(kafka_bootstrap_servers, "operator", *RIGHTS)
        ways: dict[str, Callable[[], Connection]] = {
            "mutual TLS": broker.by_certificate, "OAUTHBEARER": lambda: broker.by_token(provider),
        }
        secured = ways.get(way, lambda: broker.by_password(Mechanism(way)))()
        async with asyncio.timeout(PATIENCE_SECONDS):  # the right takes a moment to reach every broker
            while isinstance(said := await process.quotas(secured, [web], DEADLINE_SECONDS), Unknown):
                assert said.reason is Reason.QUOTA_REFUSED
        await _set(process, secured, web, 4321)
        await _until_own(process, connection, web, 4321)

    @pytest.mark.parametrize("has", [(), (AclOperation.DESCRIBE_CONFIGS,)])
    async def test_a_right_that_is_missing_is_told_before_it_is_needed(
        self, has: tuple[AclOperation, ...], broker: SecuredBroker, cluster: Cluster, web: Entity,
        process: PollingProcess,
    ) -> None:
        user = fresh("half")
        set_password(cluster, Mechanism.SCRAM_SHA_512, user, "half-password")
        if has:
            allow(cluster.servers, user, *(right for right in RIGHTS if right[2] in has))
        secured = broker.by_password(Mechanism.SCRAM_SHA_512, user, "half-password")
        said = await process.quotas(secured, [web], DEADLINE_SECONDS)
        assert isinstance(said, Unknown)
        assert said.reason is Reason.QUOTA_REFUSED
        assert said.why.endswith(
            f"kafka-acls.sh --bootstrap-server {secured.bootstrap_servers} --add --allow-principal User:{user} "
            "--operation DescribeConfigs --operation AlterConfigs --cluster")
        found = await process.change_quotas(secured, [Change(web, frozenset({None}), 5)], DEADLINE_SECONDS)
        assert isinstance(found[web], Unknown)

    async def test_a_wrong_password_is_an_answer_that_does_not_show_it(
        self, broker: SecuredBroker, web: Entity, process: PollingProcess
    ) -> None:
        secured = broker.by_password(Mechanism.SCRAM_SHA_512, password="planted-wrong-secret")  # noqa: S106
        said = await process.quotas(secured, [web], DEADLINE_SECONDS)
        assert isinstance(said, Unknown)
        assert "planted" not in said.why


RIGHTS = (
    (ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE_CONFIGS),
    (ResourceType.BROKER, "kafka-cluster", AclOperation.ALTER_CONFIGS),
)


async def test_brokers_out_of_reach_delay_no_poll_and_are_an_answer(
    process: PollingProcess, connection: Connection, cluster: Cluster
) -> None:
    """The silent one accepts connections and says nothing."""
    is_asked = asyncio.Event()
    server = await asyncio.start_server(lambda *_: is_asked.set(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    silent = Connection(f"{host}:{port}")
    await process.poll(connection, [GroupQuery("nobody")], DEADLINE_SECONDS)
    await process.quotas(connection, [Entity(client_id="web")], DEADLINE_SECONDS)

    async def a_poll_does_not_wait() -> None:
        """What waits for the silent one waits for five seconds and more."""
        is_asked.clear()
        asked = asyncio.create_task(process.quotas(silent, [Entity(client_id="web")], 10))
        await is_asked.wait()
        await process.poll(connection, [GroupQuery("nobody")], DEADLINE_SECONDS)
        is_in_time = not asked.done()
        said = await asyncio.wait_for(asked, PATIENCE_SECONDS)
        assert isinstance(said, Unknown)
        assert said.reason is Reason.BROKERS_UNREACHABLE
        assert is_in_time

    await awaited_in_one_of_several_trials(a_poll_does_not_wait)
    server.close()


async def test_the_leaders_are_told_where_they_are_asked_for(
    process: PollingProcess, connection: Connection, cluster: Cluster
) -> None:
    topic = cluster.topic()
    for with_leaders in (True, False):
        query = GroupQuery(fresh("group"), topics=(topic,), with_leaders=with_leaders)
        [sample] = await process.poll(connection, [query], DEADLINE_SECONDS)
        assert not isinstance(sample.partitions, Unknown)
        leaders = sample.details.leaders
        assert set(leaders) == (set(sample.partitions) if with_leaders else set())
    assert all(isinstance(tp, TopicPartition) for tp in leaders)
