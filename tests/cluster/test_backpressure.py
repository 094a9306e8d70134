"""Producers that are held back by the broker: a group that cannot keep up, and whatever becomes of operator and lease.

The group's only consumer runs here, in the place of a Deployment whose pods nobody runs: it does 20 records/s, and 60
arrive. Each test's client id is its namespace.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka import quotas
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Change, Entity
from kafka_consumer_scaler.pacing import Origin, PacedProducer, RateSource
from tests.cluster.operators import Operator, leader_of, operators
from tests.cluster.workload import Client, Workload
from tests.contracts.kube_objects import workload as unscheduled
from tests.environment import Environment
from tests.waiting import PATIENCE, PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("no_installed_operator")]

DONE, ARRIVING, RECORD_BYTES = 20, 60, 1000
STALL_SECONDS = 1.0
"""What a machine that stood still for longer did not produce is not caught up."""
PREVIOUS = 50_000_000
FINALIZER = "kafka-consumer-scaler.dev/quota-lease"
QUICK: dict[str, Any] = {
    "maxReplicas": 1, "pollingIntervalSeconds": 1, "target": {"lagSeconds": 10}, "recoverySeconds": 60,
}  # fmt: skip


class Thread:
    """Runs `step` again and again until it is closed."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.step()

    def step(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


class SlowMember(Thread):
    """The group's only member."""

    def __init__(self, servers: str, topic: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": servers, "group.id": topic, "auto.offset.reset": "earliest",
                                   "auto.commit.interval.ms": 500, "enable.auto.offset.store": False})
        self._consumer.subscribe([topic])
        super().__init__()

    def step(self) -> None:
        record = self._consumer.poll(0.2)
        if record is not None and record.error() is None:
            time.sleep(1 / DONE)
            self._consumer.store_offsets(record)

    def close(self) -> None:
        super().close()
        self._consumer.close()


class Traffic(Thread):
    """Records that want to arrive; more of them wait here while the broker holds them back."""

    def __init__(self, servers: str, topic: str) -> None:
        self._producer = Producer({"bootstrap.servers": servers, "client.id": topic, "linger.ms": 100})
        self._topic, self._last, self._owed = topic, time.monotonic(), 0.0
        super().__init__()

    def step(self) -> None:
        now = time.monotonic()
        self._owed += ARRIVING * min(now - self._last, STALL_SECONDS)
        self._last = now
        while self._owed >= 1 and len(self._producer) < 1000:
            self._producer.produce(self._topic, bytes(RECORD_BYTES))
            self._owed -= 1
        self._producer.poll(0.1)


@pytest.fixture
def orders(
    environment: Environment, custom_resource_definition: None, kubectl: Client, namespace: str
) -> Iterator[Workload]:
    """A topic in which more arrives than its consumer does, and a quota of 50 MB/s that was there before."""
    story = Workload(environment, kubectl, namespace, image="none")
    story.create_topic(partitions=1)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=unscheduled("Deployment", "orders-consumer", 1))
    set_quota(story, None, PREVIOUS)
    servers = environment.kafka_bootstrap_servers
    threads = [SlowMember(servers, namespace), Traffic(servers, namespace)]
    yield story
    for thread in threads:
        thread.close()
    kubectl("delete", "kcs", "--all", "-n", namespace, "--wait=false")
    kubectl("patch", "kcs", "orders", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}',
            check=False)
    set_quota(story, quota(story), None)


def quota(story: Workload) -> int | None:
    """What the broker holds the producers to."""
    entity = Entity(client_id=story.namespace)
    connection = Connection(story.environment.kafka_bootstrap_servers)
    told = quotas.describe(connection, [entity], time.monotonic() + PATIENCE_SECONDS)
    assert not isinstance(told, Unknown), told
    return told.standings[entity].own


def set_quota(story: Workload, before: int | None, rate: int | None) -> None:
    """As somebody else would."""
    entity = Entity(client_id=story.namespace)
    connection = Connection(story.environment.kafka_bootstrap_servers)
    change = Change(entity, frozenset({before}), rate)
    assert quotas.change(connection, [change], time.monotonic() + PATIENCE_SECONDS) == {entity: before}


def options(story: Workload) -> tuple[str, ...]:
    return "--producer-quotas", json.dumps([{"namespaces": [story.namespace], "clientIds": [story.namespace]}])


def backpressure(story: Workload, floor: int) -> dict[str, Any]:
    return {"quotas": [{"clientId": story.namespace, "minBytesPerSecond": floor}]}


@contextmanager
def pair(environment: Environment, story: Workload, folder: Path) -> Iterator[tuple[Operator, Operator]]:
    """A leader and a standby."""
    with operators(environment, story.namespace, folder, "one", "two", options=options(story)) as running:
        leader = leader_of(running)
        (standby,) = (each for each in running if each is not leader)
        yield leader, standby


def lease_of(story: Workload) -> dict[str, Any]:
    """The lease in the status, once the broker was seen to have it, and has it still: the next poll may change both."""
    def seen() -> dict[str, Any] | None:
        leases = story.status().get("quotaLeases") or [{}]
        return leases[0] if leases[0].get("isSeen") and quota(story) == leases[0]["bytesPerSecond"] else None

    lease: dict[str, Any] = eventually(seen, what="a lease")
    return lease


def is_said(story: Workload, reason: str) -> None:
    """Return once an event says it."""
    eventually(lambda: reason in story.reasons(), what=f"the event {reason}")


def refusals(operator: Operator) -> int:
    """How often it has logged that a quota stays, since something is in the way."""
    return sum("stays until this is over" in line["message"] for line in operator.said())


def test_a_lease_outlives_its_operator_and_is_put_back_when_the_resource_is_deleted_while_no_broker_is_there(
    environment: Environment, kubectl: Client, orders: Workload, tmp_path: Path
) -> None:
    with pair(environment, orders, tmp_path) as (leader, standby):
        orders.plain_scaler(**QUICK, backpressure=backpressure(orders, 2000))
        lease = lease_of(orders)
        assert lease["previousBytesPerSecond"] == PREVIOUS
        assert 2000 <= lease["bytesPerSecond"] < ARRIVING * RECORD_BYTES
        body = orders.get()
        assert body["metadata"]["finalizers"] == [FINALIZER]
        safe = body["status"]["safeRate"]
        assert 0.5 * DONE < safe["sustainedRecordsPerSecond"] < 2 * DONE
        is_said(orders, "ThrottlingProducers")

        leader.send(signal.SIGKILL)
        eventually(lambda: standby.leads, what="the other one leads")
        orders.kubectl("wait", "kcs/orders", "-n", orders.namespace, "--for=jsonpath={.status.quotaLeases}",
                       PATIENCE)
        assert quota(orders) != PREVIOUS, "what stood goes on to stand"

        before = refusals(standby)
        environment.stop("kafka")
        try:
            kubectl("delete", "kcs", "orders", "-n", orders.namespace, "--wait=false")
            eventually(lambda: refusals(standby) > before, what="it could not be put back")
            assert orders.get()["metadata"]["finalizers"] == [FINALIZER]
        finally:
            environment.start("kafka")
        kubectl("wait", "--for=delete", "kcs/orders", "-n", orders.namespace, PATIENCE)
        assert quota(orders) == PREVIOUS


def test_a_resource_that_names_no_quotas_any_more_has_no_lease_and_no_finalizer(
    environment: Environment, orders: Workload, tmp_path: Path
) -> None:
    with operators(environment, orders.namespace, tmp_path, "one", options=options(orders)) as (operator,):
        leader_of([operator])
        orders.plain_scaler(**QUICK, backpressure=backpressure(orders, 2000))
        assert lease_of(orders)["bytesPerSecond"] < PREVIOUS
        orders.plain_scaler(**QUICK, backpressure={})
        eventually(lambda: "finalizers" not in orders.get()["metadata"], what="the lease has ended")
        assert quota(orders) == PREVIOUS
        assert "quotaLeases" not in orders.status()
        is_said(orders, "ThrottleReleased")


def test_a_floor_is_kept_and_what_somebody_else_changed_is_left_alone(
    environment: Environment, orders: Workload, tmp_path: Path
) -> None:
    floor = 2 * DONE * RECORD_BYTES
    with operators(environment, orders.namespace, tmp_path, "one", options=options(orders)) as (operator,):
        leader_of([operator])
        orders.plain_scaler(**QUICK, backpressure=backpressure(orders, floor))
        assert lease_of(orders)["bytesPerSecond"] == floor
        is_said(orders, "AtQuotaFloor")
        set_quota(orders, floor, 12_345_678)
        eventually(lambda: orders.condition("QuotaChanged")[0] == "True", what="the lease was given up")
        body = orders.get()
        assert "finalizers" not in body["metadata"]
        assert "quotaLeases" not in body["status"]
        assert quota(orders) == 12_345_678
        is_said(orders, "QuotaChanged")
        assert orders.reasons().count("QuotaChanged") == 1


def test_what_the_administrator_did_not_allow_is_a_condition_and_scaling_goes_on(
    environment: Environment, orders: Workload, tmp_path: Path
) -> None:
    with operators(environment, orders.namespace, tmp_path, "one") as (operator,):
        leader_of([operator])
        orders.plain_scaler(**QUICK, backpressure=backpressure(orders, 2000))
        eventually(lambda: orders.condition("QuotaNotPermitted")[0] == "True", what="a condition")
        eventually(lambda: orders.condition("Ready")[0] == "True", what="ready")
        is_said(orders, "QuotaNotPermitted")
        assert quota(orders) == PREVIOUS
        assert "finalizers" not in orders.get()["metadata"]


def told_alike(pair: tuple[Operator, ...], path: str) -> tuple[dict[str, Any], list[RateSource]] | None:
    """What each of them answers, and a source that follows each: once they answer, and all say the same."""
    answers = [each.get(path) for each in pair]
    if answers[0][0] != 200 or any(answer != answers[0] for answer in answers):
        return None
    told = dict(json.loads(answers[0][1]))
    sources = [RateSource(f"http://127.0.0.1:{each.port}{path}", follows_lower_bounds=True) for each in pair]
    followed = {(rate.origin, rate.limit.records, rate.reason) for rate in (source.refresh() for source in sources)}
    return (told, sources) if followed == {(Origin.PUBLISHED, told["recordsPerSecond"], told["reason"])} else None


def test_leader_and_standby_tell_the_same_safe_rate_and_a_paced_producer_follows_either(
    environment: Environment, orders: Workload, tmp_path: Path
) -> None:
    servers, path = environment.kafka_bootstrap_servers, f"/v1/safe-rate/{orders.namespace}/orders"
    with pair(environment, orders, tmp_path) as (leader, standby):
        eventually(lambda: [each.get(path)[0] for each in (leader, standby)] == [404, 404], what="nothing to tell yet")
        orders.plain_scaler(**QUICK | {"recoverySeconds": 600}, backpressure={})
        told, sources = eventually(lambda: told_alike((leader, standby), path), what="both tell the same")
        eventually(lambda: (leader.leads, standby.leads) == (True, False), what="one leads still")
        assert told["consumerGroup"] == orders.namespace
        assert 0 < told["recordsPerSecond"] < ARRIVING
        assert told["throttling"] is False
        for source in sources:
            producer = PacedProducer({"bootstrap.servers": servers}, source)
            assert producer.produce(orders.namespace, bytes(RECORD_BYTES))
            assert producer.flush(30) == 0
        assert quota(orders) == PREVIOUS, "the broker was told nothing"
