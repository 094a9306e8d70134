"""Two operators as processes: one leads, and whatever becomes of it, the other takes over and nobody else writes."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.cluster.operators import LEASE, Operator, leader_of, leads_after, operators
from tests.cluster.polls import polls_pass
from tests.cluster.workload import Client, Workload
from tests.contracts.kube_objects import workload as unscheduled
from tests.environment import Environment
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("no_installed_operator")]

LEASE_SECONDS, RETRY_SECONDS, SLACK_SECONDS = 15, 2.4, 6
"""The slack is for a machine with more to do than cores. A standby that waits for the lease twice needs 30 s; one that
waits for a lease that was let go needs 15 s."""
STALL_SECONDS = 0.5
"""More time between two questions is a machine that stood still: it counts as so much only."""
COOLDOWN = {"scaleUp": {"cooldownSeconds": 600}, "scaleDown": {"stabilizationWindowSeconds": 5, "cooldownSeconds": 600}}


@pytest.fixture
def pair(
    environment: Environment, custom_resource_definition: None, namespace: str, tmp_path: Path
) -> Iterator[tuple[Operator, Operator]]:
    """A leader and a standby."""
    with operators(environment, namespace, tmp_path, "one", "two") as running:
        leader = leader_of(running)
        (standby,) = (each for each in running if each is not leader)
        yield leader, standby


@pytest.fixture
def orders(environment: Environment, kubectl: Client, namespace: str) -> Workload:
    """A topic, a group that has read it whole, and a Deployment whose pods nobody will ever run."""
    story = Workload(environment, kubectl, namespace, image="none")
    story.create_topic(partitions=4)
    eventually(lambda: _committed(story), what="the new topic's partitions have leaders")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=unscheduled("Deployment", "orders-consumer", 1))
    return story


class Member:
    """The group's only member, which is slow: it processes nothing until it is told to finish."""

    def __init__(self, environment: Environment, topic: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": environment.kafka_bootstrap_servers, "group.id": topic,
                                   "enable.auto.commit": False})
        self._consumer.subscribe([topic], on_assign=lambda consumer, partitions: self._pause(partitions))
        self._assigned: list[TopicPartition] = []
        self._ended, self._told = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _pause(self, partitions: list[TopicPartition]) -> None:
        self._consumer.assign(partitions)
        self._consumer.pause(partitions)
        self._assigned = partitions

    def _poll(self) -> None:
        while not self._ended.is_set():
            self._consumer.poll(0.2)
            if self._told.is_set():
                self._commit()
                self._told.clear()

    def finish(self) -> None:
        """Commit the end of every partition, in the thread that polls: a consumer is one thread's."""
        self._told.set()

    def _commit(self) -> None:
        ends = [(each, self._consumer.get_watermark_offsets(each, 60)[1]) for each in self._assigned]
        offsets = [TopicPartition(each.topic, each.partition, end) for each, end in ends]
        self._consumer.commit(offsets=offsets, asynchronous=False)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()


@pytest.fixture
def member(environment: Environment, orders: Workload) -> Iterator[Member]:
    joined = Member(environment, orders.namespace)
    yield joined
    joined.close()


def _committed(story: Workload) -> bool:
    try:
        story.commit_the_end(story.namespace)
    except KafkaException:
        return False
    return True


def lease(kubectl: Client, namespace: str) -> dict[str, Any]:
    return dict(json.loads(kubectl("get", "lease", LEASE, "-n", namespace, "-o", "json").stdout)["spec"])


def versions(orders: Workload) -> tuple[int, str]:
    """Of the target's specification and of the resource: whatever an operator writes to them changes these."""
    return orders.deployment()["metadata"]["generation"], orders.get()["metadata"]["resourceVersion"]


def ended_with(operator: Operator) -> tuple[int, str]:
    return operator.process.wait(PATIENCE_SECONDS), operator.last_words


def seconds_until_it_leads(operator: Operator) -> float:
    """Seconds from now, without those in which the machine stood still."""
    until, before, seconds = time.monotonic() + PATIENCE_SECONDS, time.monotonic(), 0.0
    while not operator.leads:
        time.sleep(0.05)
        now = time.monotonic()
        seconds, before = seconds + min(now - before, STALL_SECONDS), now
        assert now < until, f"{operator.name} does not lead"
    return seconds


def test_one_leads_and_the_other_is_ready_as_a_standby_that_asks_kafka_nothing(
    pair: tuple[Operator, Operator], kubectl: Client, namespace: str, orders: Workload
) -> None:
    leader, standby = pair
    orders.scaler()
    eventually(lambda: orders.status().get("partitions") == 4, what="the leader polls")
    eventually(lambda: standby.get("/readyz") == (200, "standby\n"), what="a standby")
    eventually(lambda: leader.get("/readyz") == (200, "ok\n"), what="ready")
    assert lease(kubectl, namespace)["holderIdentity"].startswith(f"{leader.name}_")
    assert "kafka_consumer_scaler_poll_seconds_count" in leader.metrics()
    series = standby.metrics()
    assert "kafka_consumer_scaler_leader 0.0" in series
    assert "kafka_consumer_scaler_poll_seconds_count" not in series


def test_a_leader_that_is_told_to_end_hands_over_at_once(pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    leader.send(signal.SIGTERM)
    assert leader.process.wait(PATIENCE_SECONDS) == 0
    assert seconds_until_it_leads(standby) < RETRY_SECONDS + SLACK_SECONDS


def test_the_standby_takes_over_from_a_killed_leader_within_the_lease_and_keeps_its_cooldown(
    pair: tuple[Operator, Operator], orders: Workload, member: Member
) -> None:
    leader, standby = pair
    orders.produce(1000)
    orders.scaler(behavior=COOLDOWN)
    eventually(lambda: orders.replicas() == 4, what="scaled up by the leader")
    eventually(lambda: json.loads(orders.status().get("memory", "{}")).get("scales"), what="and remembered")
    leader.send(signal.SIGKILL)
    assert seconds_until_it_leads(standby) < LEASE_SECONDS + RETRY_SECONDS + SLACK_SECONDS
    member.finish()
    eventually(lambda: orders.status().get("lag", {}).get("records") == 0, what="the new leader polls")
    kept = orders.replicas_while(lambda: polls_pass(standby.metrics, orders.namespace, 8))
    assert kept == 4, "the old leader's cooldown holds, though the window of 5 s is over"
    assert len(json.loads(orders.status()["memory"])["scales"]) == 1
    assert len([text for text in orders.changes() if text.startswith("Scaled")]) == 1


def test_a_leader_that_was_stopped_beyond_its_lease_writes_nothing_when_it_wakes_up_and_ends(
    pair: tuple[Operator, Operator], orders: Workload, kubectl: Client, namespace: str
) -> None:
    """No other operator is left when it wakes up, so that whatever is written is its own doing."""
    leader, standby = pair
    orders.scaler()
    eventually(lambda: orders.status().get("lag", {}).get("records") == 0, what="the leader polls")
    leader.send(signal.SIGSTOP)
    leads_after(standby, time.monotonic())
    standby.send(signal.SIGKILL)
    orders.produce(1000)
    before, holder = versions(orders), lease(kubectl, namespace)
    leader.send(signal.SIGCONT)
    code, words = ended_with(leader)
    assert code == 1
    assert words.startswith(f"kafka-consumer-scaler run: no longer the leader: the lease is held by {standby.name}_")
    assert (versions(orders), lease(kubectl, namespace)) == (before, holder)
    assert orders.replicas() == 1


def test_a_stolen_lease_ends_the_leader_and_the_standby_waits_the_lease_out(
    pair: tuple[Operator, Operator], kubectl: Client, namespace: str
) -> None:
    leader, standby = pair
    stolen = time.monotonic()
    kubectl("patch", "lease", LEASE, "-n", namespace, "--type=merge", "-p", '{"spec": {"holderIdentity": "stranger"}}')
    code, words = ended_with(leader)
    assert (code, "the lease is held by stranger" in words) == (1, True)
    assert leads_after(standby, stolen) > LEASE_SECONDS - 1


def test_a_deleted_lease_ends_the_leader_and_is_made_anew(
    pair: tuple[Operator, Operator], kubectl: Client, namespace: str
) -> None:
    leader, standby = pair
    deleted = time.monotonic()
    kubectl("delete", "lease", LEASE, "-n", namespace)
    code, words = ended_with(leader)
    assert code == 1
    assert "no longer the leader: the lease " in words
    assert leads_after(standby, deleted) > LEASE_SECONDS - 1


def test_each_change_is_told_once(pair: tuple[Operator, Operator], kubectl: Client, namespace: str) -> None:
    leader, standby = pair
    renewals = set[str]()

    def renewed() -> bool:
        renewals.add(lease(kubectl, namespace)["renewTime"])
        return len(renewals) > 3

    eventually(renewed, what="the lease was renewed three times")
    told = [line for line in leader.said() if line["message"].startswith("election: ")]
    assert [line["message"] for line in told if line["message"] == "election: leader"] == ["election: leader"]
    assert [line["message"] for line in standby.said() if "leader" in line["message"]] == []
