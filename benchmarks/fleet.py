"""KafkaConsumerScalers with their groups and targets, and the operator that serves them and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.cluster import Cluster, wait_until
from benchmarks.groups import Groups
from tests.environment import Environment

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "kafka-consumer-scaler"
DEFINITIONS = ROOT / "deploy" / "crd.yaml"
RELEASE = "benchmark"
OPERATOR_NAMESPACE, NAMESPACE = "benchmark-operator", "benchmark-groups"
DEFINITION = "kafkaconsumerscalers.kafka-consumer-scaler.dev"
KINDS = "kafkaconsumerscalers,kafkaconnections,clusterkafkaconnections"
OPERATOR_LABEL = "app.kubernetes.io/name=kafka-consumer-scaler"
TARGET_GROUP, TARGETS = "benchmark.kafka-consumer-scaler.dev", "targets"
CAUGHT_UP_SECONDS = 120.0


@dataclass(frozen=True)
class Fleet:
    """The benchmark's things in the cluster and in Kafka."""

    cluster: Cluster
    groups: Groups
    interval_seconds: int

    def add(self, numbers: range) -> None:
        """Groups, targets and scalers with these numbers; returns when the operator finds them all caught up."""
        self.groups.commit_the_end(numbers)
        self.cluster.create([_target(self.groups.name(number)) for number in numbers])
        self.cluster.create([self._scaler(number) for number in numbers])
        wait_until(self._not_caught_up, CAUGHT_UP_SECONDS)

    def pod(self) -> dict[str, Any]:
        """The operator's pod."""
        (pod,) = self.cluster.items("pods", "-n", OPERATOR_NAMESPACE, "-l", OPERATOR_LABEL)
        return pod

    def measured(self, name: str) -> float:
        """The sum of one series of the operator's /metrics over its labels."""
        pod = self.pod()["metadata"]["name"]
        text = self.cluster.raw(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:8080/proxy/metrics")
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(sample.value for sample in samples if sample.name == name)

    def polls(self) -> int:
        """Polls of the Kafka cluster since the operator's start, each for all groups."""
        return int(self.measured("kafka_consumer_scaler_poll_seconds_count"))

    def wait_between_polls(self) -> None:
        """Return in the middle between two polls, so that counts hold whole polls only."""
        age = self.measured("kafka_consumer_scaler_last_poll_age_seconds")
        time.sleep((self.interval_seconds / 2 - age) % self.interval_seconds)

    def neighbours(self) -> int:
        """Other operators of the cluster, whose requests cannot be told from ours; 0 makes for exact counts."""
        operators = self.cluster.items("deployments", "--all-namespaces", "-l", OPERATOR_LABEL)
        return sum(each["metadata"]["namespace"] != OPERATOR_NAMESPACE for each in operators)

    def _not_caught_up(self) -> str:
        found = self.cluster.items("kafkaconsumerscalers", "-n", NAMESPACE)
        behind = [each for each in found if each.get("status", {}).get("backlog") != "CaughtUp"]
        if not behind:
            return ""
        last = behind[0].get("status", {}).get("lastDecision", "no status")
        return f"{len(behind)} of {len(found)} groups are not seen as caught up: {last}"

    def _scaler(self, number: int) -> dict[str, Any]:
        name = self.groups.name(number)
        return {
            "apiVersion": "kafka-consumer-scaler.dev/v1alpha1",
            "kind": "KafkaConsumerScaler",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "scaleTargetRef": {"apiVersion": f"{TARGET_GROUP}/v1", "kind": "Target", "name": name},
                "kafka": {"bootstrapServers": self.cluster.environment.kafka_bootstrap_servers_in_cluster},
                "consumerGroup": name,
                "topics": [self.groups.topic(number)],
                "maxReplicas": self.groups.partitions,
                "pollingIntervalSeconds": self.interval_seconds,
            },
        }


@contextmanager
def fleet(environment: Environment, interval_seconds: int) -> Iterator[Fleet]:
    """The operator, installed by the chart, without any scaler yet; all of it is removed afterwards."""
    cluster, groups = Cluster(environment), Groups(environment.kafka_bootstrap_servers)
    image = environment.load_image("kafka-consumer-scaler:benchmark", ROOT, ROOT / "Dockerfile")
    _clear(cluster)
    makes_definition = not cluster.has("crd", DEFINITION)
    try:
        groups.make_topics()
        if makes_definition:
            cluster.kubectl("apply", "--server-side", "-f", str(DEFINITIONS))
        _make_targets(cluster)
        _install(cluster, image)
        yield Fleet(cluster, groups, interval_seconds)
    finally:
        _clear(cluster)
        if makes_definition:
            _remove_definition(cluster)
        groups.remove()


def _make_targets(cluster: Cluster) -> None:
    """The namespaces and the targets' kind: anything with a scale subresource, without pods that would cost CPU."""
    for name in (OPERATOR_NAMESPACE, NAMESPACE):
        cluster.kubectl("create", "namespace", name)
    cluster.create([_target_definition()])
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{TARGETS}.{TARGET_GROUP}", "--timeout=30s")


def _install(cluster: Cluster, image: str) -> None:
    repository, _, tag = image.rpartition(":")
    values = {
        "image": {"repository": repository, "tag": tag},
        "watchNamespaces": [NAMESPACE],
        "scaleTargets": [{"apiGroup": TARGET_GROUP, "resource": TARGETS}],
        "crd": {"install": False},
        "replicaCount": 1,
    }
    said = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    cluster.helm("install", RELEASE, str(CHART), "--namespace", OPERATOR_NAMESPACE, *said)
    where = ("--namespace", OPERATOR_NAMESPACE, "-l", OPERATOR_LABEL)
    cluster.kubectl("rollout", "status", "deployment", *where, "--timeout=90s")


def _clear(cluster: Cluster) -> None:
    """Remove all that a benchmark makes in the cluster, the operator first, also what an interrupted one left."""
    cluster.helm("uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait")
    cluster.kubectl("delete", "crd", f"{TARGETS}.{TARGET_GROUP}", "--ignore-not-found", "--timeout=60s")
    gone = ("--ignore-not-found", "--timeout=120s")
    cluster.kubectl("delete", "namespace", OPERATOR_NAMESPACE, NAMESPACE, *gone)


def _remove_definition(cluster: Cluster) -> None:
    """Unless somebody else has come to use it."""
    if cluster.has("crd", DEFINITION) and not cluster.items(KINDS, "--all-namespaces"):
        cluster.kubectl("delete", "-f", str(DEFINITIONS), "--ignore-not-found", "--timeout=60s")


def _target(name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{TARGET_GROUP}/v1",
        "kind": "Target",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": 1},
        "status": {"replicas": 1},
    }


def _target_definition() -> dict[str, Any]:
    replicas = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"spec": replicas, "status": replicas}}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"scale": scale},
    }
    names = {"kind": "Target", "plural": TARGETS, "singular": "target"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{TARGETS}.{TARGET_GROUP}"},
        "spec": {"group": TARGET_GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }
