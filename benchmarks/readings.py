"""What the kubelet, the API server and the broker counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.cluster import BenchmarkFailed, Cluster
from benchmarks.fleet import OPERATOR_NAMESPACE, TARGET_GROUP, Fleet

CONTAINER = "operator"
OURS = {
    "kafka-consumer-scaler.dev": {"kafkaconsumerscalers"},
    TARGET_GROUP: {"targets"},
    "autoscaling": {"horizontalpodautoscalers"},
    "events.k8s.io": {"events"},
}
"""By API group, the resources that the operator's role names."""
BROKER_APIS = (
    "ListOffsets", "OffsetFetch", "DescribeGroups", "ConsumerGroupDescribe", "FindCoordinator", "Metadata",
    "DescribeTopicPartitions", "ApiVersions",
)  # fmt: skip
"""What a client that only looks on can ask a broker."""


@dataclass(frozen=True)
class Usage:
    """What the operator's container has used, both processes together.

    Args:
        at: time of the reading, seconds of the Unix epoch.
        cpu_seconds: since the container's start.
        working_set_mib: memory that cannot be reclaimed, which is what limits count.
    """

    at: float
    cpu_seconds: float
    working_set_mib: float

    def percent_of_a_core_since(self, before: Usage) -> float:
        """Average CPU between two readings. Raises BenchmarkFailed when the container was restarted in between."""
        used, passed = self.cpu_seconds - before.cpu_seconds, self.at - before.at
        if used < 0 or passed <= 0:
            raise BenchmarkFailed("the operator's container was restarted, or the kubelet has no new reading of it")
        return 100 * used / passed


def usage(fleet: Fleet) -> Usage:
    """The kubelet's newest reading of the operator's container, at most some 15 s old."""
    pod = fleet.pod()
    path = f"/api/v1/nodes/{pod['spec']['nodeName']}/proxy/stats/summary?only_cpu_and_memory=true"
    pods = {each["podRef"]["name"]: each for each in json.loads(fleet.cluster.raw(path))["pods"]}
    containers = pods.get(pod["metadata"]["name"], {}).get("containers", [])
    found = [each for each in containers if each["name"] == CONTAINER and "usageCoreNanoSeconds" in each["cpu"]]
    if not found:
        raise BenchmarkFailed("the kubelet has no reading of the operator's container")
    return _usage_of(found[0])


def _usage_of(container: Mapping[str, Any]) -> Usage:
    cpu, memory = container["cpu"], container["memory"]
    at = datetime.fromisoformat(cpu["time"]).timestamp()
    return Usage(at, cpu["usageCoreNanoSeconds"] / 1e9, memory["workingSetBytes"] / 2**20)


def resident_mib(fleet: Fleet) -> dict[str, float]:
    """Resident memory by process. The look costs CPU in the container: take it last."""
    script = 'for p in /proc/[0-9]*; do echo "$(grep VmRSS $p/status) $(tr "\\0" " " < $p/cmdline)"; done 2> /dev/null'
    where = (fleet.pod()["metadata"]["name"], "-n", OPERATOR_NAMESPACE, "-c", CONTAINER)
    lines = [line.split() for line in fleet.cluster.kubectl("exec", *where, "--", "sh", "-c", script).splitlines()]
    shown = [(words[1], words[3:]) for words in lines if words[:1] == ["VmRSS:"]]
    kinds = {"operator": "run", "polling process": "kafka_consumer_scaler.kafka.polling_child"}
    return {kind: int(kib) / 1024 for kind, word in kinds.items() for kib, words in shown if word in words}


def api_requests(cluster: Cluster) -> Counter[str]:
    """Requests for the operator's resources since the API server's start, as "GET targets/scale", by whomever."""
    prefix = "apiserver_request_total{"
    lines = [line for line in cluster.raw("/metrics").splitlines() if line.startswith(prefix)]
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if sample.labels["resource"] in OURS.get(sample.labels["group"], ()):
                counts[_request(sample.labels)] += int(sample.value)
    return counts


def _request(labels: Mapping[str, str]) -> str:
    part = f"/{labels['subresource']}" if labels["subresource"] else ""
    return f"{labels['verb']} {labels['resource']}{part}"


def broker_requests(fleet: Fleet) -> Counter[str]:
    """Requests of onlookers since the broker's start, by whomever. Raises Unsupported, EnvironmentFailed, OSError."""
    counts = fleet.cluster.environment.broker_request_counts()
    return Counter({name: counts.get(name, 0) for name in BROKER_APIS})
