"""When which groups are polled together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.control.fleet import Fleet, _next_on_grid, _phase
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Sasl
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample
from tests.control.fakes import NoMetrics, Outside, Vault, reconciler, resolver, resource, sample
from tests.control.virtual_time import LoopClock
from tests.waiting import until

VIRTUAL_TIME = True
SECRET = {"name": "kafka-user", "key": "password"}
SECURED = {"bootstrapServers": "kafka:9093", "sasl": {"mechanism": "SCRAM-SHA-512", "username": "orders",
                                                      "passwordSecretRef": SECRET}}


def fleet_of(outside: Outside, registry: Registry, vault: Vault | None = None) -> Fleet:
    return Fleet(registry, outside, reconciler(outside, registry), outside, NoMetrics(), LoopClock(),
                 resolver(registry, vault))


@contextlib.asynccontextmanager
async def running(fleet: Fleet) -> AsyncIterator[None]:
    task = asyncio.create_task(fleet.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@given(st.floats(0, 2e9), st.floats(0, 3600), st.integers(1, 3600))
def test_the_next_poll_is_on_the_grid_and_within_one_interval(after: float, phase: float, interval: int) -> None:
    due = _next_on_grid(after, phase, interval)
    assert after < due <= after + interval * (1 + 1e-6) + 1e-3
    assert abs((due - phase) / interval - round((due - phase) / interval)) < 1e-3


@given(st.floats(1e9, 2e9), st.floats(0, 3600))
def test_groups_of_5_and_15_seconds_meet_at_every_third_poll(after: float, phase: float) -> None:
    slow = _next_on_grid(after, phase, 15)
    assert abs(_next_on_grid(slow - 1, phase, 5) - slow) < 1e-3


def test_clusters_are_spread_and_stay_where_they_are() -> None:
    phases = {_phase(Connection(f"kafka-{number}:9092")) for number in range(50)}
    assert len(phases) > 45
    assert _phase(Connection("kafka:9092")) == _phase(Connection("kafka:9092"))


class Sluggish(Outside):
    """Brokers that take 0.6 s for each answer."""

    async def poll(
        self, connection: Connection, queries: Sequence[GroupQuery], deadline_seconds: float
    ) -> list[GroupSample]:
        await asyncio.sleep(0.6)
        self.time += 1
        return await super().poll(connection, queries, deadline_seconds)


async def test_brokers_that_answer_slowly_are_asked_less_often_and_that_is_said(
    caplog: pytest.LogCaptureFixture
) -> None:
    outside, registry = Sluggish(), Registry(LoopClock())
    registry.put(resource(pollingIntervalSeconds=1))
    async with running(fleet_of(outside, registry)):
        await until(lambda: Reason.BROKERS_SLOW in outside.posted)
    assert len(outside.polls) == 4, "three in a row are slow, and the fourth shows it"
    assert outside.posted.count(Reason.BROKERS_SLOW) == 1
    assert "brokers answer slowly: polls are 2 intervals apart" in caplog.text
    [condition] = [each for each in outside.statuses[-1]["conditions"] if each["type"] == "BrokersSlow"]
    assert "there is one every 2 s now, 2 times as far apart as asked for" in condition["message"]


async def test_brokers_that_do_not_answer_are_asked_as_often_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    outside, registry = Sluggish(answer=GroupSample.unknown(Unknown("silence"))), Registry(LoopClock())
    registry.put(resource(pollingIntervalSeconds=1))
    async with running(fleet_of(outside, registry)):
        await until(lambda: len(outside.polls) >= 7)
    assert "intervals apart" not in caplog.text


async def test_groups_of_one_cluster_share_polls_and_each_keeps_its_interval() -> None:
    outside, registry = Outside(), Registry(LoopClock())
    for number, interval in enumerate((1, 1, 3)):
        registry.put(resource(f"s{number}", f"u{number}", consumerGroup=f"g{number}", pollingIntervalSeconds=interval,
                              scaleTargetRef={"name": f"c{number}"}))
    async with running(fleet_of(outside, registry)):
        await until(lambda: len(outside.polls) >= 11)
        registry.replace([], before=registry.uids())
        await until(lambda: bool(outside.forgotten))
    first, *polls = outside.polls[:11]
    assert first == ("g0", "g1", "g2"), "new groups are polled at once, together"
    assert {groups[:2] for groups in polls} == {("g0", "g1")}
    met = [number for number, groups in enumerate(polls) if groups[2:] == ("g2",)]
    assert met in ([0, 3, 6, 9], [1, 4, 7], [2, 5, 8]), "every third"
    assert outside.forgotten == [Connection("kafka:9092")], "a cluster that nobody uses is let go"


class Live(Outside):
    """An outside whose time goes on."""

    def now(self) -> float:
        return LoopClock().now()


def ready(outside: Outside) -> tuple[str, str]:
    """Status and reason of the last MetricsAvailable that was written."""
    written = [each for status in outside.statuses for each in status["conditions"]]
    available = [each for each in written if each["type"] == "MetricsAvailable"]
    return (available[-1]["status"], available[-1]["reason"]) if available else ("", "")


async def test_a_resource_without_its_secret_says_so_at_its_interval_and_is_polled_once_it_is_there() -> None:
    outside, registry, vault = Live(), Registry(LoopClock()), Vault()
    registry.put(resource(kafka=SECURED, pollingIntervalSeconds=1))
    async with running(fleet_of(outside, registry, vault)):
        await until(lambda: ready(outside) == ("False", "SecretNotFound"))
        (watched,) = registry.all()
        await until(lambda: watched.history.failures >= 3)
        assert (outside.polls, outside.writes) == ([], [])
        vault.secrets["shop", "kafka-user"] = {"password": "planted"}
        await until(lambda: ready(outside) == ("True", "AsExpected"))
    assert outside.polls != []
    assert outside.posted == [Reason.METRICS_UNAVAILABLE, Reason.METRICS_RECOVERED]


async def test_a_rotated_secret_makes_another_client_and_keeps_the_history() -> None:
    outside, registry = Live(), Registry(LoopClock())
    vault = Vault({("shop", "kafka-user"): {"password": "old"}})
    registry.put(resource(kafka=SECURED, pollingIntervalSeconds=1))
    async with running(fleet_of(outside, registry, vault)):
        await until(lambda: len(outside.polls) >= 2)
        (watched,), (old,) = registry.all(), registry.connections()
        seen = len(watched.history.samples)
        vault.secrets["shop", "kafka-user"] = {"password": "new"}
        await until(lambda: outside.forgotten == [old])
        await until(lambda: len(watched.history.samples) > seen)
        (new,) = registry.connections()
    assert new is not None
    assert new.sasl == Sasl(Mechanism.SCRAM_SHA_512, "orders", "new")


class Names(NoMetrics):
    """Under which names polls were told of, and which were forgotten."""

    def __init__(self) -> None:
        self.polled: list[tuple[str, str]] = []
        self.forgotten: list[tuple[str, str]] = []

    def observe_poll(self, cluster: str, connection: str, seconds: float, problem: Reason | None) -> None:
        self.polled.append((cluster, connection))

    def forget_cluster(self, cluster: str, connection: str) -> None:
        self.forgotten.append((cluster, connection))


async def test_two_credentials_of_one_address_have_names_of_their_own_and_a_rotation_changes_none() -> None:
    outside, registry, names = Live(), Registry(LoopClock()), Names()
    vault = Vault({("shop", "kafka-user"): {"password": "old"}, ("bank", "kafka-user"): {"password": "other"}})
    registry.put(resource(kafka=SECURED, pollingIntervalSeconds=1))
    registry.put(resource("ledger", "u-ledger", namespace="bank", kafka=SECURED, pollingIntervalSeconds=1))
    fleet = replace(fleet_of(outside, registry, vault), metrics=names)
    async with running(fleet):
        both = {("kafka:9093", "shop/orders"), ("kafka:9093", "bank/ledger")}
        await until(lambda: set(names.polled) == both)
        vault.secrets["shop", "kafka-user"] = {"password": "new"}
        await until(lambda: len(outside.forgotten) == 1)
        names.polled.clear()
        await until(lambda: set(names.polled) == both)
        assert names.forgotten == []
        registry.drop("u-ledger")
        await until(lambda: names.forgotten == [("kafka:9093", "bank/ledger")])


class Held(Live):
    """A cluster that keeps its answers until it is told to give them; `old` is told another lag than the others."""

    def __init__(self) -> None:
        super().__init__()
        self.given = asyncio.Event()
        self.old: Connection | None = None

    async def poll(
        self, connection: Connection, queries: Sequence[GroupQuery], deadline_seconds: float
    ) -> list[GroupSample]:
        await super().poll(connection, queries, deadline_seconds)
        await self.given.wait()
        return [sample(lag=9 if connection == self.old else 5)]


async def test_a_sample_of_credentials_that_were_replaced_meanwhile_is_not_used() -> None:
    outside, registry = Held(), Registry(LoopClock())
    vault = Vault({("shop", "kafka-user"): {"password": "old"}})
    registry.put(resource(kafka=SECURED, pollingIntervalSeconds=60))
    async with running(fleet_of(outside, registry, vault)):
        await until(lambda: len(outside.polls) == 1)
        (watched,), (outside.old,) = registry.all(), registry.connections()
        vault.secrets["shop", "kafka-user"] = {"password": "new"}
        await until(lambda: watched.connection != outside.old)
        outside.given.set()
        await until(lambda: outside.forgotten == [outside.old])
        await until(lambda: watched.history.samples != ())
    assert all(seen.readings == sample(lag=5).partitions for seen in watched.history.samples)
