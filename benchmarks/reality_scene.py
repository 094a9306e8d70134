"""What is played for real and simulated: names, the trace, the manifests."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml

from benchmarks.fleet import ROOT
from benchmarks.groups import PREFIX
from kafka_consumer_scaler.api.v1alpha1 import KafkaConsumerScaler
from kafka_consumer_scaler.core.policy import Policy

NAMESPACE: Final = "benchmark-reality"
NAME: Final = f"{PREFIX}reality"
"""Of the topic and of the group."""
DEPLOYMENT: Final = "orders-consumer"
PARTITIONS: Final = 12
WORK_SECONDS: Final = 0.02
COMMIT_SECONDS: Final = 5.0
ASSIGNOR: Final = "cooperative-sticky"
TRACE: Final = ((40.0, 60), (200.0, 90), (100.0, 120), (40.0, 330))
"""Records/s and seconds. One consumer does 50 records/s: one, four, two and one would do, without any backlog."""
STEP_AT: Final = TRACE[0][1]


def arrival() -> list[float]:
    """Records/s of each second."""
    return [rate for rate, seconds in TRACE for _ in range(seconds)]


def steps() -> str:
    """The trace as examples/producer.py takes it: `40:60,200:90,...`."""
    return ",".join(f"{rate:g}:{seconds}" for rate, seconds in TRACE)


def told() -> str:
    """The trace in words."""
    return ", ".join(f"{rate:g} records/s for {seconds} s" for rate, seconds in TRACE)


def scaler(bootstrap_servers: str) -> dict[str, Any]:
    """The README's manifest: nothing but what has no default."""
    return {
        "apiVersion": "kafka-consumer-scaler.dev/v1alpha1",
        "kind": "KafkaConsumerScaler",
        "metadata": {"name": "orders", "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"name": DEPLOYMENT},
            "kafka": {"bootstrapServers": bootstrap_servers},
            "consumerGroup": NAME,
            "maxReplicas": PARTITIONS,
        },
    }


def policy() -> Policy:
    """What the operator makes of the manifest."""
    return KafkaConsumerScaler.parse(scaler("kafka:9092"), strict=True).policy()


def consumer(image: str, bootstrap_servers: str) -> str:
    """examples/consumer.yaml with a set time of work for each record, one replica."""
    manifest = yaml.safe_load((ROOT / "examples" / "consumer.yaml").read_text())
    manifest["metadata"]["namespace"] = NAMESPACE
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image
    values = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "TOPIC": NAME, "GROUP": NAME, "ASSIGNOR": ASSIGNOR,
        "WORK_SECONDS": f"{WORK_SECONDS:g}", "COMMIT_INTERVAL": f"{COMMIT_SECONDS:g}", "OFFSET_RESET": "earliest",
    }  # fmt: skip
    container["env"] = [{"name": name, "value": value} for name, value in values.items()]
    return json.dumps(manifest)
