"""Manifests that the API server and `KafkaConsumerScaler.parse` must judge alike: one good, one full, and many bad."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

SMALLEST: dict[str, Any] = {
    "apiVersion": "kafka-consumer-scaler.dev/v1alpha1",
    "kind": "KafkaConsumerScaler",
    "metadata": {"name": "orders"},
    "spec": {
        "scaleTargetRef": {"name": "orders-consumer"},
        "kafka": {"bootstrapServers": "kafka:9092"},
        "consumerGroup": "orders",
        "maxReplicas": 12,
    },
}
FULL_SPEC: dict[str, Any] = {
    "scaleTargetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "orders.consumer"},
    "kafka": {"bootstrapServers": "kafka-0.kafka.svc:9092,10.0.0.7:9093,[2001:db8::7]:9094"},
    "consumerGroup": "команда/orders v2",
    "topics": ["orders", "orders.retry"],
    "minReplicas": 0,
    "maxReplicas": 24,
    "target": {"lagSeconds": 30.5, "lagPerReplica": 500, "activationLag": 10, "utilization": 0.7},
    "recoverySeconds": 120,
    "pollingIntervalSeconds": 5,
    "consumerThreads": 2,
    "offsetReset": "earliest",
    "isolationLevel": "read_uncommitted",
    "behavior": {
        "scaleUp": {
            "stabilizationWindowSeconds": 15,
            "cooldownSeconds": 10,
            "tolerance": 0.2,
            "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 60},
                {"type": "Percent", "value": 100, "periodSeconds": 60},
            ],
            "selectPolicy": "Min",
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 600,
            "cooldownSeconds": 240,
            "tolerance": 0.05,
            "policies": [{"type": "Percent", "value": 10, "periodSeconds": 300}],
            "selectPolicy": "Disabled",
        },
    },
    "mode": "Advisory",
    "paused": True,
    "fallback": {"failureThreshold": 5, "replicas": 6},
}


@dataclass(frozen=True)
class Bad:
    """A change that spoils the smallest manifest: the field's path, its value, and what the answer must contain."""

    why: str
    path: str
    value: Any
    says: tuple[str, ...]


def with_field(path: str, value: Any) -> dict[str, Any]:
    """The smallest manifest with one field of the spec set; a value of `...` removes it."""
    manifest = copy.deepcopy(SMALLEST)
    *outer, last = path.split("/")
    place = manifest["spec"]
    for step in outer:
        place = place.setdefault(step, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return manifest


SERVERS = "kafka/bootstrapServers"
NO_URL = ("spec.kafka.bootstrapServers must be host:port pairs, not URLs",)
NO_LIST = ("spec.kafka.bootstrapServers must be a comma-separated list of host:port",)
NO_METADATA = ("spec.kafka.bootstrapServers must not name link-local or cloud metadata addresses",)
STEP = {"type": "Pods", "value": 1, "periodSeconds": 60}

BAD = (
    Bad("min above max", "minReplicas", 13, ("spec.minReplicas must not be greater than spec.maxReplicas",)),
    Bad("no maxReplicas", "maxReplicas", ..., ("spec.maxReplicas", "equired")),
    Bad("no target", "scaleTargetRef", ..., ("spec.scaleTargetRef", "equired")),
    Bad("no bootstrap servers", SERVERS, ..., (SERVERS.replace("/", "."), "equired")),
    Bad("no group", "consumerGroup", ..., ("spec.consumerGroup", "equired")),
    Bad("NaN as text", "target/lagSeconds", "NaN", ("spec.target.lagSeconds", "number")),
    Bad("a number beyond 64 bits", "maxReplicas", 10**23, ("spec.maxReplicas",)),
    Bad("a number as large as a float goes", "target/lagSeconds", 1e308, ("spec.target.lagSeconds", "604800")),
    Bad("more replicas than any cluster has", "maxReplicas", 10_001, ("spec.maxReplicas", "10000")),
    Bad("too much lag", "target/lagPerReplica", 10**12 + 1, ("spec.target.lagPerReplica", "less than or equal to 1")),
    Bad("zero maxReplicas", "maxReplicas", 0, ("spec.maxReplicas", "greater than or equal to 1")),
    Bad("negative minReplicas", "minReplicas", -1, ("spec.minReplicas", "greater than or equal to 0")),
    Bad("half a replica", "maxReplicas", 1.5, ("spec.maxReplicas", "integer")),
    Bad("a polling interval of a day", "pollingIntervalSeconds", 86400, ("spec.pollingIntervalSeconds", "3600")),
    Bad("no polling interval", "pollingIntervalSeconds", 0, ("spec.pollingIntervalSeconds", "equal to 1")),
    Bad("utilization over 1", "target/utilization", 1.01, ("spec.target.utilization", "less than or equal to 1")),
    Bad("an empty list of topics", "topics", [], ("spec.topics", "at least 1 item")),
    Bad("a topic without a name", "topics", [""], ("spec.topics[0]", "at least 1 char")),
    Bad("a topic twice", "topics", ["orders", "orders"], ("spec.topics",)),
    Bad("a topic that cannot be", "topics", ["orders", "a b"], ("spec.topics[1]", "a topic's name is made of letters")),
    Bad("a pattern that does not compile", "topicPattern", "orders(", ("spec.topicPattern must be a regular",)),
    Bad("an empty pattern", "topicPattern", "", ("spec.topicPattern", "at least 1 char")),
    Bad("control characters in the group", "consumerGroup", "a\nb", ("spec.consumerGroup must not contain control",)),
    Bad("an empty group", "consumerGroup", "", ("spec.consumerGroup", "at least 1 char")),
    Bad("a file", SERVERS, "file:///etc/passwd", NO_URL),
    Bad("a protocol", SERVERS, "SASL_SSL://kafka:9092", NO_URL),
    Bad("a metadata URL", SERVERS, "http://169.254.169.254/latest", NO_URL),
    Bad("the metadata address", SERVERS, "169.254.169.254:80", NO_METADATA),
    Bad("the metadata address in second place", SERVERS, "kafka:9092,169.254.169.254:80", NO_METADATA),
    Bad("the metadata address mapped into IPv6", SERVERS, "[::ffff:169.254.169.254]:80", NO_METADATA),
    Bad("the metadata address mapped, in hexadecimal", SERVERS, "[::FFFF:A9FE:A9FE]:80", NO_METADATA),
    Bad("an IPv6 link-local address", SERVERS, "[fe80::1]:9092", NO_METADATA),
    Bad("the metadata address in IPv6", SERVERS, "[fd00:ec2::254]:80", NO_METADATA),
    Bad("the metadata address as a number", SERVERS, "2852039166:80", NO_LIST),
    Bad("the metadata address in hexadecimal", SERVERS, "0xa9fea9fe:80", NO_LIST),
    Bad("the metadata address in octal", SERVERS, "0251.0376.0251.0376:80", NO_LIST),
    Bad("no port", SERVERS, "kafka", NO_LIST),
    Bad("port 65536", SERVERS, "kafka:65536", NO_LIST),
    Bad("port 0", SERVERS, "kafka:0", NO_LIST),
    Bad("spaces between servers", SERVERS, "kafka-0:9092, kafka-1:9092", NO_LIST),
    Bad("a line break after a server", SERVERS, "kafka:9092\n", NO_LIST),
    Bad("a core workload", "scaleTargetRef/apiVersion", "v1", ("spec.scaleTargetRef.apiVersion must be group/",)),
    Bad("a path as kind", "scaleTargetRef/kind", "Deployment/x", ("spec.scaleTargetRef.kind must be a kind",)),
    Bad("a path as name", "scaleTargetRef/name", "../secrets/x", ("spec.scaleTargetRef.name must be an object",)),
    Bad("a name in capitals", "scaleTargetRef/name", "Orders", ("spec.scaleTargetRef.name must be an object's name",)),
    Bad("fallback over max", "fallback", {"failureThreshold": 3, "replicas": 13}, ("spec.fallback.replicas must be",)),
    Bad("fallback under min", "fallback", {"failureThreshold": 3, "replicas": 0}, ("spec.fallback.replicas must be",)),
    Bad("half a fallback", "fallback", {"replicas": 3}, ("spec.fallback.failureThreshold", "equired")),
    Bad("activation without zero", "target/activationLag", 5, ("spec.target.activationLag counts only at zero",)),
    Bad("an unknown mode", "mode", "Auto", ("spec.mode", "Active", "Advisory")),
    Bad("an unknown reset", "offsetReset", "smallest", ("spec.offsetReset", "earliest", "latest", "none")),
    Bad("a window of a day", "behavior/scaleDown/stabilizationWindowSeconds", 86400,
        ("spec.behavior.scaleDown.stabilizationWindowSeconds", "3600")),
    Bad("an unknown step", "behavior/scaleUp/policies", [STEP | {"type": "Nodes"}],
        ("spec.behavior.scaleUp.policies[0].type", "Pods", "Percent")),
    Bad("a step without a period", "behavior/scaleUp/policies", [STEP | {"periodSeconds": 0}],
        ("spec.behavior.scaleUp.policies[0].periodSeconds", "greater than or equal to 1")),
    Bad("too many steps", "behavior/scaleUp/policies", [STEP] * 11,
        ("spec.behavior.scaleUp.policies", "at most 10 items")),
)  # fmt: skip

UNKNOWN_FIELDS = (
    Bad("a field of another namespace", "scaleTargetRef/namespace", "kube-system", ("spec.scaleTargetRef.namespace",)),
    Bad("a namespace beside Kafka", "kafka/namespace", "kube-system", ("spec.kafka.namespace",)),
    Bad("a plugin", "kafka/plugin.library.paths", "/tmp/evil.so", ("spec.kafka.plugin.library.paths",)),
    Bad("a file to read", "kafka/ssl.ca.location", "/etc/shadow", ("spec.kafka.ssl.ca.location",)),
    Bad("free properties", "kafka/config", {"debug": "all"}, ("spec.kafka.config",)),
    Bad("a misspelt field", "maxReplica", 3, ("spec.maxReplica",)),
)
