"""The main job on real parts: a manifest, a backlog, a scaled Deployment, events that say why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.cluster.conftest import LABEL
from tests.cluster.workload import Client, Workload, eventually

pytestmark = pytest.mark.cluster

KILL_CHILD = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
    if b"kafka_consumer_scaler.kafka.polling_child" in words:
        os.kill(int(pid), signal.SIGKILL)
        print("killed", pid)
"""
RESTARTS = """
import urllib.request
lines = urllib.request.urlopen("http://127.0.0.1:8080/metrics").read().decode().splitlines()
print([line for line in lines if line.startswith("kafka_consumer_scaler_polling_process_restarts_total")])
"""


def test_a_backlog_is_scaled_up_to_the_partitions_and_down_after_the_window(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    workload.produce(3000)
    workload.scaler()
    eventually(lambda: workload.replicas() == 4, what="four replicas for four partitions")
    eventually(lambda: workload.condition("ScalingLimited") == ("True", "AtPartitionLimit"), 20)
    eventually(lambda: workload.replicas() == 1, 120, "one replica once the backlog is drained")
    message = eventually(lambda: [text for text in workload.changes() if text.startswith("Scaled up from 1 to 4")])[0]
    for words in ("on 4 partitions", "100 records a replica", "4 (4 useful for the partitions)"):
        assert words in message
    assert "ScalingLimited" in workload.reasons()
    assert any(text.startswith("Scaled down from") for text in eventually(workload.changes))


def test_an_idle_group_goes_to_zero_and_wakes_on_the_first_records(workload: Workload) -> None:
    workload.create_topic(partitions=2)
    workload.deploy()
    workload.scaler(minReplicas=0)
    workload.produce(20)
    eventually(lambda: workload.replicas() == 0, 120, "zero replicas without traffic")
    pods = ("get", "pods", "-n", workload.namespace, "-o", "name")
    eventually(lambda: workload.kubectl(*pods).stdout == "", 60, "no pod that would take the records yet")
    workload.produce(5)
    eventually(lambda: workload.replicas() >= 1, 20, "awake")
    eventually(lambda: workload.status().get("lag", {}).get("records") == 0, 90, "the records consumed")
    changes = workload.changes()
    assert any("to 0: lag 0 records" in change for change in changes)
    assert any(change.startswith("Scaled up from 0 to 1") for change in changes)


def test_a_missing_target_is_reported_and_scaled_once_it_is_there(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.produce(1000)
    workload.scaler()
    eventually(lambda: workload.condition("AbleToScale") == ("False", "TargetNotFound"), 20)
    assert workload.condition("Ready")[0] == "False"
    workload.deploy()
    eventually(lambda: workload.replicas() == 4, what="the target is found and scaled")
    eventually(lambda: workload.condition("Ready")[0] == "True", 20)
    assert {"TargetNotFound", "TargetFound", "ScaledUp"} <= set(eventually(workload.reasons))


def test_a_broker_that_is_down_holds_the_replicas_and_is_reported_once(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.deploy(replicas=3)
    workload.scaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}})
    eventually(lambda: workload.condition("MetricsAvailable")[0] == "True", 60)
    workload.environment.stop("kafka")
    try:
        eventually(lambda: workload.condition("MetricsAvailable")[0] == "False", 60, "metrics reported unavailable")
        assert workload.replicas_for(10) == {3}
    finally:
        workload.environment.start("kafka")
    eventually(lambda: workload.condition("MetricsAvailable")[0] == "True", 90, "metrics recovered")
    eventually(lambda: "MetricsRecovered" in workload.reasons(), 20)
    assert workload.reasons().count("MetricsUnavailable") == 1
    assert workload.replicas() == 3
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, 60, "scaling goes on after the outage")


def test_the_operator_goes_on_after_the_api_server_was_restarted(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    workload.scaler()
    eventually(lambda: workload.condition("Ready")[0] == "True", 60)
    workload.environment.restart("kube-apiserver")
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, 90, "scaled up after the restart")
    assert eventually(workload.changes, 20), "and told"


def test_a_killed_polling_process_costs_samples_and_not_the_operator(
    workload: Workload, in_operator: Callable[[str], str]
) -> None:
    workload.create_topic(partitions=4)
    workload.deploy(replicas=2)
    workload.scaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}})
    eventually(lambda: workload.condition("MetricsAvailable")[0] == "True", 60)
    before = in_operator(RESTARTS)
    assert "killed" in in_operator(KILL_CHILD)
    eventually(lambda: in_operator(RESTARTS) != before, 60, "a new polling process")
    eventually(lambda: workload.condition("MetricsAvailable")[0] == "True", 60, "lost and recovered")
    assert workload.replicas() == 2
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, 60, "scaling goes on")


def test_an_operator_that_is_killed_midway_goes_on_without_a_flap(
    workload: Workload, operator: str, kubectl: Client
) -> None:
    workload.create_topic(partitions=4)
    workload.deploy(work_seconds=0.05)
    workload.scaler()
    workload.produce(4000)
    eventually(lambda: workload.replicas() == 4, 60)
    kubectl("delete", "pod", "-n", operator, "-l", LABEL, "--grace-period=0", "--force")
    kubectl("rollout", "status", "deployment", "-n", operator, "-l", LABEL, "--timeout=60s")
    assert workload.replicas_for(10) == {4}, "the new operator neither shrinks nor grows what the old one left"
    assert json.loads(workload.status()["memory"])["scales"], "the memory of the change is kept"
    eventually(lambda: workload.replicas() == 1, 120, "down once, after the drain")


def test_two_scalers_of_one_target_do_not_fight(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    workload.scaler("older")
    eventually(lambda: workload.condition("Ready", "older")[0] == "True", 60)
    time.sleep(1.1)  # creation times have a resolution of one second
    workload.scaler("younger")
    eventually(lambda: workload.condition("AbleToScale", "younger") == ("False", "Conflict"), 20)
    workload.produce(1000)
    eventually(lambda: workload.replicas() == 4, 60)
    assert workload.condition("AbleToScale", "older")[0] == "True"
    assert "ScaledUp" not in workload.reasons("younger")


def test_a_target_with_a_horizontal_pod_autoscaler_is_left_alone(workload: Workload, kubectl: Client) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    kubectl("autoscale", "deployment", "orders-consumer", "-n", workload.namespace, "--max=5", "--cpu=50%")
    workload.scaler()
    eventually(lambda: workload.condition("AbleToScale") == ("False", "Conflict"), 30)
    workload.produce(1000)
    assert workload.replicas_for(5) == {1}


def test_the_broker_gets_one_end_offset_round_per_interval_and_one_offset_fetch_per_group(workload: Workload) -> None:
    """Four caught-up groups on one topic at 2 s for 20 s: ten rounds, whatever the number of groups."""
    groups, interval, seconds = 4, 2, 20
    workload.create_topic(partitions=6)
    workload.produce(60)
    for number in range(groups):
        workload.commit_the_end(f"{workload.namespace}-{number}")
        workload.scaler(f"s{number}", pollingIntervalSeconds=interval, consumerGroup=f"{workload.namespace}-{number}",
                        scaleTargetRef={"name": f"consumer-{number}"})
    names = [f"s{number}" for number in range(groups)]
    eventually(lambda: {workload.condition("MetricsAvailable", name)[0] for name in names} == {"True"}, 30)
    time.sleep(interval)
    before = workload.environment.broker_request_counts()
    time.sleep(seconds)
    after = workload.environment.broker_request_counts()
    asked = {name: after.get(name, 0) - before.get(name, 0) for name in ("ListOffsets", "OffsetFetch")}
    rounds = seconds / interval
    assert abs(asked["ListOffsets"] - rounds) <= 4, asked
    assert abs(asked["OffsetFetch"] - rounds * groups) <= 4 * groups, asked
