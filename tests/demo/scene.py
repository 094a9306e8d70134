"""What the demo plays with: names, load, and the manifests that are applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "kafka-consumer-scaler"
EXAMPLES = ROOT / "examples"

RELEASE = "kafka-consumer-scaler"
OPERATOR_NAMESPACE = "demo-operator"
NAMESPACE = "demo-shop"
MARK = "kafka-consumer-scaler.dev/demo"
"""The label of the demo's namespaces. They are made before anything else and removed after it, so a marked namespace
means that a topic and a group of these names are the leftover of a demo, and nobody else's."""

TOPIC = "orders"
GROUP = "orders"
DEPLOYMENT = "orders-consumer"
PARTITIONS = 12
STEPS = "70:30,350:110,70:370"
"""Records/s and seconds. One consumer works 10 ms on a record and does about 95 a second: 350 need four consumers. The
last step outlasts the default scale-down window of 300 s."""
LAG_SECONDS = 60
"""The resource's default `target.lagSeconds`, the objective."""

SCALER = """\
apiVersion: kafka-consumer-scaler.dev/v1alpha1
kind: KafkaConsumerScaler
metadata: {{name: orders, namespace: {namespace}}}
spec:
  scaleTargetRef: {{name: {deployment}}}
  kafka: {{bootstrapServers: "{bootstrap_servers}"}}
  consumerGroup: {group}
  topics: [{topic}]
  offsetReset: earliest
  maxReplicas: {partitions}
"""


def scaler(bootstrap_servers: str) -> str:
    """The one manifest that makes the consumers scale."""
    return SCALER.format(
        namespace=NAMESPACE,
        deployment=DEPLOYMENT,
        bootstrap_servers=bootstrap_servers,
        group=GROUP,
        topic=TOPIC,
        partitions=PARTITIONS,
    )


def consumer(image: str, bootstrap_servers: str) -> str:
    """examples/consumer.yaml with this namespace, image and broker."""
    manifest = yaml.safe_load((EXAMPLES / "consumer.yaml").read_text())
    manifest["metadata"]["namespace"] = NAMESPACE
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image
    ours = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "TOPIC": TOPIC, "GROUP": GROUP}
    others = [variable for variable in container["env"] if variable["name"] not in ours]
    container["env"] = [{"name": name, "value": value} for name, value in ours.items()] + others
    return yaml.safe_dump(manifest)


def namespace(name: str) -> str:
    """A marked namespace in which only pods of the restricted Pod Security Standard may run."""
    labels = {MARK: "true", "pod-security.kubernetes.io/enforce": "restricted"}
    manifest: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    return yaml.safe_dump(manifest)


def seconds_of(steps: str) -> float:
    """How long the load lasts: 510 for `70:30,350:110,70:370`."""
    return sum(float(step.split(":")[1]) for step in steps.split(","))


def step_seconds() -> float:
    """When the load steps up, seconds after it began: 30."""
    return float(STEPS.split(",")[0].split(":")[1])


def title() -> str:
    """The load in words, for the picture."""
    rates = [step.split(":")[0] for step in STEPS.split(",")]
    return f"{' → '.join(rates)} records/s on {PARTITIONS} partitions; one consumer does about 95 records/s"
