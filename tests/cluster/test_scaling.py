"""The main job on real parts: a manifest, a backlog, a scaled Deployment, events that say why."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.cluster.conftest import LABEL, leading_pod
from tests.cluster.polls import decisions, polls_pass
from tests.cluster.workload import Client, Workload
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.cluster

KILL_CHILD = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
    if b"kafka_consumer_scaler.kafka.polling_child" in words:
        os.kill(int(pid), signal.SIGKILL)
        print("killed", pid)
"""
METRICS = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8080/metrics").read().decode())
"""
NO_SHRINKING = {"scaleDown": {"stabilizationWindowSeconds": 3600}}
"""However long a test takes on a busy machine, idle replicas are not taken away."""


@pytest.fixture
def metrics(in_operator: Callable[[str], str]) -> Callable[[], str]:
    """The text of /metrics, in the pod that leads."""
    return lambda: in_operator(METRICS)


def total(exposition: str, series: str) -> float:
    """The sum of a series over all labels."""
    lines = [line for line in exposition.splitlines() if line.startswith((f"{series}{{", f"{series} "))]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_a_backlog_is_scaled_up_to_the_partitions_and_down_after_the_window(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    workload.produce(3000)
    workload.scaler()
    eventually(lambda: workload.replicas() == 4, what="four replicas for four partitions")
    eventually(lambda: workload.replicas() == 1, what="one replica once the backlog is drained")
    message = eventually(lambda: [text for text in workload.changes() if text.startswith("Scaled up from 1 to 4")])[0]
    for words in ("on 4 partitions", "100 records a replica", "4 (4 useful for the partitions)"):
        assert words in message
    assert "ScalingLimited" in workload.reasons()
    eventually(lambda: any(text.startswith("Scaled down from") for text in workload.changes()), what="said to be down")


def test_an_idle_group_goes_to_zero_and_wakes_on_the_first_records(workload: Workload) -> None:
    workload.create_topic(partitions=2)
    workload.deploy()
    workload.scaler(minReplicas=0)
    workload.produce(20)
    eventually(lambda: workload.replicas() == 0, what="zero replicas without traffic")
    pods = ("get", "pods", "-n", workload.namespace, "-o", "name")
    eventually(lambda: workload.kubectl(*pods).stdout == "", what="no pod that would take the records yet")
    workload.produce(5)
    eventually(lambda: workload.replicas() >= 1, what="awake")
    eventually(lambda: workload.status().get("lag", {}).get("records") == 0, what="the records consumed")
    changes = workload.changes()
    assert any("to 0: lag 0 records" in change for change in changes)
    assert any(change.startswith("Scaled up from 0 to 1") for change in changes)


def test_a_missing_target_is_reported_and_scaled_once_it_is_there(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.produce(1000)
    workload.scaler()
    eventually(lambda: workload.condition("AbleToScale") == ("False", "TargetNotFound"), what="missing")
    assert workload.condition("Ready")[0] == "False"
    workload.deploy()
    eventually(lambda: workload.replicas() == 4, what="the target is found and scaled")
    eventually(lambda: workload.condition("Ready")[0] == "True", what="ready")
    eventually(lambda: {"TargetNotFound", "TargetFound", "ScaledUp"} <= set(workload.reasons()), what="all is said")


def test_a_broker_that_is_down_holds_the_replicas_and_is_reported_once(
    workload: Workload, metrics: Callable[[], str]
) -> None:
    workload.create_topic(partitions=4)
    workload.deploy(replicas=3)
    workload.scaler(behavior=NO_SHRINKING)
    eventually(lambda: workload.condition("MetricsAvailable")[0] == "True", what="metrics available")
    workload.environment.stop("kafka")
    try:
        eventually(lambda: workload.condition("MetricsAvailable")[0] == "False", what="metrics reported unavailable")
        assert workload.replicas_while(lambda: polls_pass(metrics, workload.namespace, 2)) == 3
    finally:
        workload.environment.start("kafka")
    eventually(lambda: workload.condition("MetricsAvailable")[0] == "True", what="metrics recovered")
    eventually(lambda: "MetricsRecovered" in workload.reasons(), what="said to have recovered")
    assert workload.reasons().count("MetricsUnavailable") == 1
    assert workload.replicas() == 3
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, what="scaling goes on after the outage")


def test_the_operator_goes_on_after_the_api_server_was_restarted(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    workload.scaler()
    eventually(lambda: workload.condition("Ready")[0] == "True", what="ready")
    workload.environment.restart("kube-apiserver")
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, what="scaled up after the restart")
    eventually(workload.changes, what="said to be up")


def test_a_killed_polling_process_costs_samples_and_not_the_operator(
    workload: Workload, in_operator: Callable[[str], str], metrics: Callable[[], str]
) -> None:
    restarts = "kafka_consumer_scaler_polling_process_restarts_total"
    workload.create_topic(partitions=4)
    workload.deploy(replicas=2)
    workload.scaler(behavior=NO_SHRINKING)
    eventually(lambda: workload.condition("MetricsAvailable")[0] == "True", what="metrics available")
    before = total(metrics(), restarts)
    assert "killed" in in_operator(KILL_CHILD)
    eventually(lambda: total(metrics(), restarts) > before, what="a new polling process")
    eventually(lambda: workload.condition("MetricsAvailable")[0] == "True", what="lost and recovered")
    assert workload.replicas() == 2
    workload.produce(3000)
    eventually(lambda: workload.replicas() == 4, what="scaling goes on")


def test_an_operator_that_is_killed_midway_goes_on_without_a_flap(
    workload: Workload, operator: str, kubectl: Client, metrics: Callable[[], str]
) -> None:
    """The backlog lasts for a quarter of an hour, until the consumers are made quicker."""
    workload.create_topic(partitions=4)
    workload.deploy(work_seconds=2)
    workload.scaler()
    workload.produce(2000)
    eventually(lambda: workload.replicas() == 4, what="up")
    killed = leading_pod(kubectl, operator)

    def until_another_has_polled() -> None:
        kubectl("delete", "pod", "-n", operator, "-l", LABEL, "--grace-period=0", "--force")
        kubectl("rollout", "status", "deployment", "-n", operator, "-l", LABEL, PATIENCE)
        eventually(lambda: leading_pod(kubectl, operator) not in ("", killed), what="another one leads")
        eventually(lambda: decisions(metrics(), workload.namespace) >= 5, what="it polls")

    kept = workload.replicas_while(until_another_has_polled)
    assert kept == 4, "the new operator neither shrinks nor grows what the old one left"
    assert json.loads(workload.status()["memory"])["scales"], "the memory of the change is kept"
    kubectl("set", "env", "deployment/orders-consumer", "WORK_SECONDS=0.005", "-n", workload.namespace)
    eventually(lambda: workload.replicas() == 1, what="down, after the drain")


def test_two_scalers_of_one_target_do_not_fight(workload: Workload) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    workload.scaler("older")
    eventually(lambda: workload.condition("Ready", "older")[0] == "True", what="the older one is ready")
    made = workload.get("older")["metadata"]["creationTimestamp"]  # of a resolution of one second
    eventually(lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") > made, what="a later second")
    workload.scaler("younger")
    eventually(lambda: workload.condition("AbleToScale", "younger") == ("False", "Conflict"), what="a conflict")
    workload.produce(1000)
    eventually(lambda: workload.replicas() == 4, what="scaled")
    assert workload.condition("AbleToScale", "older")[0] == "True"
    assert "ScaledUp" not in workload.reasons("younger")


def test_a_target_with_a_horizontal_pod_autoscaler_is_left_alone(
    workload: Workload, kubectl: Client, metrics: Callable[[], str]
) -> None:
    workload.create_topic(partitions=4)
    workload.deploy()
    kubectl("autoscale", "deployment", "orders-consumer", "-n", workload.namespace, "--max=5", "--cpu=50%")
    workload.scaler()
    eventually(lambda: workload.condition("AbleToScale") == ("False", "Conflict"), what="a conflict")
    workload.produce(1000)
    assert workload.replicas_while(lambda: polls_pass(metrics, workload.namespace, 3)) == 1


def test_the_broker_gets_one_end_offset_round_per_interval_and_one_offset_fetch_per_group(
    workload: Workload, metrics: Callable[[], str]
) -> None:
    """Four caught-up groups on one topic. A round for each group would make four of a poll's one."""
    groups, polls = 4, "kafka_consumer_scaler_poll_seconds_count"
    workload.create_topic(partitions=6)
    workload.produce(60)
    for number in range(groups):
        workload.commit_the_end(f"{workload.namespace}-{number}")
        workload.scaler(f"s{number}", consumerGroup=f"{workload.namespace}-{number}",
                        scaleTargetRef={"name": f"consumer-{number}"})
    names = [f"s{number}" for number in range(groups)]
    for name in names:
        eventually(lambda name=name: workload.condition("MetricsAvailable", name)[0] == "True",  # type: ignore[misc]
                   what=f"{name} is polled")
        polls_pass(metrics, workload.namespace, 2, name)
    begun = total(metrics(), polls)
    before = workload.environment.broker_request_counts()
    least = -total(metrics(), polls)
    eventually(lambda: total(metrics(), polls) + least >= 12, what="a dozen polls")
    least += total(metrics(), polls)
    after = workload.environment.broker_request_counts()
    most = total(metrics(), polls) - begun
    asked = {name: after.get(name, 0) - before.get(name, 0) for name in ("ListOffsets", "OffsetFetch")}
    assert least - 2 <= asked["ListOffsets"] <= most + 2, (asked, least, most)
    assert (least - 2) * groups <= asked["OffsetFetch"] <= (most + 2) * groups, (asked, least, most)
