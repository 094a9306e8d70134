"""One topic, one group, one consumer Deployment and one KafkaConsumerScaler in a namespace of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kafka_consumer_scaler.kube.client import path_of
from kafka_consumer_scaler.kube.resources import API_VERSION, PLURAL
from tests.cluster.reading import api_server
from tests.environment import Environment
from tests.planted import SUITE
from tests.topics import wait_for_leaders
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
Client = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class Workload:
    """The pieces by name; the namespace's name is also the topic's and the group's, so that tests keep apart."""

    environment: Environment
    kubectl: Client
    namespace: str
    image: str

    def create_topic(self, partitions: int, topic: str = "") -> None:
        topic = topic or self.namespace
        admin = AdminClient({"bootstrap.servers": self.environment.kafka_bootstrap_servers})
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(PATIENCE_SECONDS)
        wait_for_leaders(admin, topic, partitions)

    def delete_topic(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.environment.kafka_bootstrap_servers})
        admin.delete_topics([self.namespace])[self.namespace].result(PATIENCE_SECONDS)

    def produce(self, records: int, topic: str = "") -> None:
        """So many records, dealt evenly to the partitions."""
        topic = topic or self.namespace
        producer = Producer({"bootstrap.servers": self.environment.kafka_bootstrap_servers, "linger.ms": 20})
        partitions = len(producer.list_topics(topic, 60).topics[topic].partitions)
        for number in range(records):
            producer.produce(topic, b"record", partition=number % partitions)
            producer.poll(0)
        assert producer.flush(PATIENCE_SECONDS) == 0

    def commit_the_end(self, group: str, topic: str = "") -> None:
        """A group without members that has consumed everything."""
        topic = topic or self.namespace
        settings = {"bootstrap.servers": self.environment.kafka_bootstrap_servers, "group.id": group}
        consumer = Consumer(settings)
        count = len(consumer.list_topics(topic, 60).topics[topic].partitions)
        partitions = [TopicPartition(topic, number) for number in range(count)]
        ends = [consumer.get_watermark_offsets(each, 60)[1] for each in partitions]
        offsets = [TopicPartition(topic, number, end) for number, end in enumerate(ends)]
        consumer.commit(offsets=offsets, asynchronous=False)
        consumer.close()

    def deploy(
        self, replicas: int = 1, work_seconds: float = 0.02, commit_interval: float = 1, downstream: str = "",
        stuck_partition: str = "", name: str = "orders-consumer", topic: str = "", command: tuple[str, ...] = (),
    ) -> None:
        """The consumer of examples/, as its README says; `command` runs in its place, in the same environment."""
        deployment = yaml.safe_load((ROOT / "examples" / "consumer.yaml").read_text())
        deployment["metadata"]["namespace"] = self.namespace
        deployment["metadata"]["name"] = name
        for labels in (deployment["spec"]["selector"]["matchLabels"],
                       deployment["spec"]["template"]["metadata"]["labels"]):
            labels["consumer"] = name
        deployment["spec"]["replicas"] = replicas
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        container["image"] = self.image
        if command:
            container["command"] = list(command)
        values = {
            "KAFKA_BOOTSTRAP_SERVERS": self.environment.kafka_bootstrap_servers_in_cluster,
            "TOPIC": topic or self.namespace, "GROUP": self.namespace, "WORK_SECONDS": str(work_seconds),
            "COMMIT_INTERVAL": str(commit_interval),
        }
        for variable in container["env"]:
            variable["value"] = values.get(variable["name"], variable["value"])
        container["env"].append({"name": "DOWNSTREAM", "value": downstream})
        container["env"].append({"name": "STUCK_PARTITION", "value": stuck_partition})
        self.kubectl("apply", "-f", "-", stdin=json.dumps(deployment))

    def scaler(self, name: str = "orders", **spec: Any) -> None:
        """A manifest that reacts within seconds; `spec` adds to it."""
        quick = {
            "maxReplicas": 10,
            "pollingIntervalSeconds": 1,
            "target": {"lagPerReplica": 100},
            "behavior": {
                "scaleUp": {"cooldownSeconds": 5},
                "scaleDown": {"stabilizationWindowSeconds": 10, "cooldownSeconds": 5},
            },
        }
        self.plain_scaler(name, **{**quick, **spec})

    def plain_scaler(self, name: str = "orders", **spec: Any) -> None:
        """The default manifest; `spec` adds to it."""
        manifest = {
            "apiVersion": "kafka-consumer-scaler.dev/v1alpha1",
            "kind": "KafkaConsumerScaler",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "scaleTargetRef": {"name": "orders-consumer"},
                "kafka": {"bootstrapServers": self.environment.kafka_bootstrap_servers_in_cluster},
                "consumerGroup": self.namespace,
                "topics": [self.namespace],
                "offsetReset": "earliest",
                "maxReplicas": 12,
                **spec,
            },
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def get(self, name: str = "orders") -> dict[str, Any]:
        return self._read(API_VERSION, PLURAL, name)

    def status(self, name: str = "orders") -> dict[str, Any]:
        return dict(self.get(name).get("status") or {})

    def condition(self, kind: str, name: str = "orders") -> tuple[str, str]:
        """Status and reason of a condition; two empty texts before there is one."""
        found = [each for each in self.status(name).get("conditions", []) if each["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    def deployment(self) -> dict[str, Any]:
        return self._read("apps/v1", "deployments", "orders-consumer")

    def replicas(self) -> int:
        """What the Deployment asks for."""
        return int(self.deployment()["spec"].get("replicas", 0))

    def replicas_while(self, passes: Callable[[], object]) -> int | None:
        """What the Deployment asks for from now until that returns; None if it was changed, for however short a time.

        The API server counts the changes of a specification.
        """
        before = self.deployment()
        passes()
        after = self.deployment()
        is_same = after["metadata"]["generation"] == before["metadata"]["generation"]
        return int(after["spec"].get("replicas", 0)) if is_same else None

    def events(self, name: str = "orders") -> list[dict[str, Any]]:
        """What `kubectl events --for` shows, oldest first."""
        words = ("events", "-n", self.namespace, "--for", f"kafkaconsumerscaler/{name}", "-o", "json")
        shown = self.kubectl(*words).stdout  # empty, with a sentence on stderr, when there are none
        return list(json.loads(shown)["items"]) if shown else []

    def reasons(self, name: str = "orders") -> list[str]:
        """The events' reasons, a series counted once."""
        return [event["reason"] for event in self.events(name)]

    def _read(self, api_version: str, plural: str, name: str) -> dict[str, Any]:
        path = path_of(api_version, "namespaces", self.namespace, plural, name)
        found = api_server(self.environment.kubeconfig).find(path)
        assert found is not None, f"there is no {path}"
        SUITE.say(path, json.dumps(found))
        return found

    def changes(self) -> list[str]:
        """The scale events' sentences."""
        return [event["message"] for event in self.events() if event["reason"] in ("ScaledUp", "ScaledDown")]
