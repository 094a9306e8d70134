"""Groups as people run them, on real parts: a shared group.id, assignment by hand, threads, slow starts, an applier."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.workload import Workload
from tests.sizes import full
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

START_SECONDS = full(25, 180)
CONSUMER = "/opt/example/consumer.py"
BY_HAND = """
import os, time
from confluent_kafka import OFFSET_STORED, Consumer, TopicPartition
topic = os.environ["TOPIC"]
consumer = Consumer({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"], "group.id": os.environ["GROUP"],
                     "auto.offset.reset": "earliest", "enable.auto.commit": False})
count = len(consumer.list_topics(topic, 60).topics[topic].partitions)
consumer.assign([TopicPartition(topic, number, OFFSET_STORED) for number in range(count)])
while True:
    records = consumer.consume(20, 0.5)
    time.sleep(float(os.environ["WORK_SECONDS"]) * len(records))
    if records:
        consumer.commit(asynchronous=False)
"""
THREADS = f"""
import signal, subprocess, sys
running = [subprocess.Popen([sys.executable, "{CONSUMER}"]) for _ in range(3)]
signal.signal(signal.SIGTERM, lambda *_: [each.terminate() for each in running])
for each in running:
    each.wait()
"""
SLOW = f"""
import os, sys, time
time.sleep({START_SECONDS})
os.execv(sys.executable, [sys.executable, "{CONSUMER}"])
"""
NO_SHRINKING = {"scaleUp": {"cooldownSeconds": 5}, "scaleDown": {"stabilizationWindowSeconds": 3600}}


def conditions(workload: Workload) -> set[str]:
    """The types of the conditions that hold."""
    return {each["type"] for each in workload.status().get("conditions", ()) if each["status"] == "True"}


def decision(workload: Workload) -> str:
    """The sentence of the last decision."""
    return str(workload.status().get("lastDecision", ""))


def memory(workload: Workload) -> dict[str, Any]:
    return dict(json.loads(workload.status().get("memory") or "{}"))


def lag(workload: Workload) -> Any:
    return workload.status().get("lag", {}).get("records")


def test_another_deployment_of_the_same_group_takes_no_place_of_ours(workload: Workload) -> None:
    """Six replicas under our group.id read a topic of theirs; ours gets a backlog on four partitions."""
    other = f"{workload.namespace}-audit"
    workload.create_topic(partitions=4)
    workload.create_topic(partitions=6, topic=other)
    workload.deploy(replicas=6, name="audit-consumer", topic=other)
    workload.deploy()
    workload.scaler(behavior=NO_SHRINKING)
    eventually(lambda: lag(workload) == 0, what="polled")
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, what="a replica for each partition of ours")
    message = eventually(workload.changes, what="said to be up")[0]
    assert "4 useful for the partitions" in message


def test_consumers_that_assign_partitions_themselves_are_scaled_by_age(workload: Workload) -> None:
    """The group is Empty all the time, and commits go on."""
    workload.create_topic(partitions=4)
    workload.deploy(command=("python", "-c", BY_HAND))
    workload.scaler(target={"lagSeconds": 10}, behavior=NO_SHRINKING, maxReplicas=3)
    workload.produce(50)
    eventually(lambda: lag(workload) == 0, what="consumed")
    workload.produce(4000)
    eventually(lambda: workload.replicas() > 1, what="more replicas")
    assert "old" in eventually(workload.changes, what="said to be up")[0]
    assert "NoMembers" not in workload.reasons()
    assert "NoMembers" not in conditions(workload)


def test_three_members_of_a_pod_are_learned_and_fill_the_partitions_together(workload: Workload) -> None:
    """Six partitions, three consumers in each pod, and no `consumerThreads`: two replicas are useful."""
    workload.create_topic(partitions=6)
    workload.deploy(command=("python", "-c", THREADS))
    workload.scaler(behavior=NO_SHRINKING)
    workload.produce(30)
    eventually(lambda: memory(workload).get("threads", {}).get("count") == 3, what="three members were seen")
    workload.produce(6000)
    eventually(lambda: workload.replicas() == 2, what="two replicas")
    eventually(lambda: lag(workload) == 0, what="the backlog is drained")
    assert workload.replicas() == 2
    assert len(workload.changes()) == 1, workload.changes()
    assert "2 useful for the partitions" in workload.changes()[0]


def test_a_topic_that_was_given_up_is_reported_and_counts_for_nothing(workload: Workload) -> None:
    """The group still has commits for it, and it gets 2,000 records."""
    legacy = f"{workload.namespace}-legacy"
    workload.create_topic(partitions=4)
    workload.create_topic(partitions=3, topic=legacy)
    workload.commit_the_end(workload.namespace, legacy)
    workload.deploy()
    workload.scaler(topics=[workload.namespace, legacy], behavior=NO_SHRINKING)
    workload.produce(50)
    eventually(lambda: memory(workload).get("threads"), what="its consumer is a member that has partitions")
    workload.produce(2000, legacy)
    eventually(lambda: "UnreadPartitions" in conditions(workload), what="unread partitions are reported")
    eventually(lambda: lag(workload) == 0, what="they are not in the lag")
    assert workload.replicas() == 1
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, what="what is read is scaled for")
    assert "4 useful for the partitions" in eventually(workload.changes, what="said to be up")[0]


def test_replicas_that_start_slowly_are_waited_for_once(workload: Workload) -> None:
    """More records arrive while the pods start: the next step is made when they have joined."""
    workload.create_topic(partitions=8)
    workload.deploy(command=("python", "-c", SLOW), work_seconds=1)
    workload.scaler(behavior=NO_SHRINKING)
    eventually(lambda: workload.status().get("partitions") == 8, what="polled")
    workload.produce(350)
    eventually(lambda: workload.replicas() == 4, what="four replicas")
    workload.produce(450)
    eventually(lambda: "8 wanted" in decision(workload), what="eight are wanted")
    eventually(lambda: workload.replicas() == 8, what="eight replicas")
    assert [text.partition(":")[0] for text in workload.changes()] == ["Scaled up from 1 to 4", "Scaled up from 4 to 8"]
    joined = memory(workload).get("joinSeconds")
    assert joined is not None
    assert joined >= START_SECONDS / 2


def test_an_applier_that_resets_the_replicas_is_named_and_no_storm(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.deploy(work_seconds=0.1)
    workload.scaler(behavior=NO_SHRINKING)
    workload.produce(20_000)
    where = ("scale", "deployment/orders-consumer", "-n", workload.namespace, "--replicas=1")

    def is_named_once_reset() -> bool:
        eventually(lambda: workload.replicas() == 4, what="raised")
        workload.kubectl(*where)
        return "ReplicasChangedByOthers" in conditions(workload)

    eventually(is_named_once_reset, what="the changes of others are reported")
    eventually(lambda: workload.replicas() == 4, what="raised again")
    assert "RebalanceStorm" not in workload.reasons()
    assert "RebalanceStorm" not in conditions(workload)
