"""A real Prometheus scrapes a real operator that watches a real group."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.workload import Client, Workload
from tests.environment import Environment
from tests.ports import reserved_port
from tests.telemetry.monitoring import ALERTS
from tests.telemetry.scraping import Prometheus, programs, prometheus
from tests.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("no_installed_operator")]

LAG = "kafka_consumer_scaler_consumergroup_lag"


@pytest.fixture
def group(
    environment: Environment, kubectl: Client, namespace: str, custom_resource_definition: None
) -> Iterator[Workload]:
    """A topic of three partitions, ten records behind on each, and a resource that only advises."""
    story = Workload(environment, kubectl, namespace, "unused")
    story.create_topic(3)
    try:
        story.produce(3)
        story.commit_the_end(namespace)
        story.produce(30)
        story.deploy(replicas=0)
        story.plain_scaler(mode="Advisory", pollingIntervalSeconds=1)
        yield story
        kubectl("delete", "kcs", "--all", "-n", namespace, PATIENCE)
    finally:
        story.delete_topic()


@pytest.fixture(params=[[], ["--metrics-per-partition"]], ids=["by topic", "by partition"])
def scraped(
    request: pytest.FixtureRequest, group: Workload, tmp_path: Path
) -> Iterator[tuple[Prometheus, Workload]]:
    """The operator as a process, and a Prometheus that scrapes it."""
    port, kubeconfig = reserved_port(), str(group.environment.kubeconfig)
    words = ["run", "--kubeconfig", kubeconfig, "--namespace", group.namespace, "--http-port", str(port)]
    command = [sys.executable, "-m", "kafka_consumer_scaler", *words, *request.param]
    operator = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with prometheus(programs()["prometheus"], tmp_path, f"127.0.0.1:{port}", ALERTS) as server:
            yield server, group
    finally:
        operator.kill()
        operator.wait()


def test_lag_is_asked_for_by_group_and_topic_whether_it_is_told_by_topic_or_by_partition(
    request: pytest.FixtureRequest, scraped: tuple[Prometheus, Workload]
) -> None:
    server, group = scraped
    found = eventually(lambda: server.query(f"sum by (namespace, consumergroup, topic) ({LAG}) == 30"), what="the lag")
    name = group.namespace
    assert [one["metric"] for one in found] == [{"namespace": name, "consumergroup": name, "topic": name}]
    by_partition = [one["metric"].get("partition") for one in server.query(LAG)]
    assert by_partition == (["0", "1", "2"] if "partition" in request.node.callspec.id else [None])
    eventually(lambda: server.query("sum(kafka_consumer_scaler_topic_record_bytes) > 0"), what="the size of records")
