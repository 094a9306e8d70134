"""A KafkaConsumerScaler as the API server has it while its group is behind, for what explains it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

SPEC: dict[str, Any] = {
    "scaleTargetRef": {"name": "orders-consumer"}, "kafka": {"bootstrapServers": "kafka:9092"},
    "consumerGroup": "orders", "minReplicas": 1, "maxReplicas": 12, "target": {"lagSeconds": 60},
}
EXPLANATION: dict[str, Any] = {
    "why": [
        "620 records/s arrive and 400 are processed: the backlog grows by 220 records/s",
        "the oldest record waits 95 s of at most 60 s; with 4 replicas it would wait 152 s once help came",
        "6 replicas hold it under 36 s: each can do 100 records/s, learned while all were busy",
    ],
    "limits": ["orders/3 is hot, so 6 are as fast as any number up to 12"],
    "otherwise": [
        "with orders/3 spread over more partitions, 8 replicas would catch up within 300 s",
        "fewer replicas once the group has caught up and 300 s have passed since",
    ],
    "partitions": [
        {"partition": "orders/3", "lag": 8200, "seconds": 95.0, "arrival": 180.0, "note": "hot"},
        {"partition": "orders/7", "lag": 1900, "seconds": 41.5, "arrival": 45.0, "note": "stuck"},
        {"partition": "orders/0", "lag": 1210, "seconds": 30.2, "arrival": 40.0},
        {"partition": "orders/11", "lag": 640, "seconds": 14.0, "arrival": 41.0},
        {"partition": "orders/5", "lag": 450},
    ],
    "advice": [{
        "about": "max.poll.records", "evidence": "batches of 500 records take 5 s at 100 records/s",
        "remedy": "process a batch's records in parallel, by key", "gain": "up to 3 times",
    }],
}
HOT = ("orders/3 gets 180 records/s, a consumer can do 100; "
       "spread the keys over more partitions or make the consumer faster")


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": 3,
            "lastTransitionTime": "2030-01-02T02:58:05Z"}


STATUS: dict[str, Any] = {
    "observedGeneration": 3,
    "conditions": [
        condition("Ready", "True", "AsExpected", "lag is watched and the target follows it"),
        condition("MetricsAvailable", "True", "AsExpected", "every partition's lag is known"),
        condition("AbleToScale", "True", "AsExpected", "the target's scale subresource is readable"),
        condition("ScalingLimited", "False", "NotLimited", "as many as wanted are allowed"),
        condition("HotPartition", "True", "HotPartition", HOT),
    ],
    "currentReplicas": 4, "desiredReplicas": 6, "partitions": 12,
    "lag": {"records": 12400, "seconds": 95, "trend": "Growing"},
    "rates": {"arrival": 620, "drain": 400, "capacityPerConsumer": 100},
    "backlog": "Behind", "lastScaleTime": "2030-01-02T03:03:50Z",
    "lastDecision": "Scaled up from 4 to 6: lag 12400 records (95 s), growing; 7 wanted -> 6 (as fast as 7)",
    "explanation": EXPLANATION,
}

HELD: dict[str, Any] = STATUS | {
    "conditions": [*STATUS["conditions"][:-1],
                   condition("AtMaxReplicas", "True", "AtMaxReplicas", "24 replicas are wanted; raise maxReplicas"),
                   condition("ThrottlingProducers", "True", "ThrottlingProducers", "so it is; let them send less")],
    "currentReplicas": 12, "desiredReplicas": 12,
    "lag": {"records": 40_000, "seconds": 30, "trend": "Steady"},
    "rates": {"arrival": 1180, "drain": 1200, "capacityPerConsumer": 100},
    "safeRate": {"recordsPerSecond": 1200, "bytesPerSecond": 120_000, "sustainedRecordsPerSecond": 1200, "replicas": 12,
                 "reason": "12 replicas sustain 1,200 records/s", "isLowerBound": False,
                 "validUntil": "2030-01-02T03:06:53Z"},
    "quotaLeases": [{"clientId": "shop", "bytesPerSecond": 40_000, "isSeen": True, "clusterId": "kafka",
                     "since": "2030-01-02T02:58:05Z"}],
    "memory": json.dumps({"version": 1, "throttling": {
        "since": NOW.timestamp() - 360, "rate": 120_000, "changedAt": NOW.timestamp() - 60, "demand": 2400,
        "seenAt": NOW.timestamp() - 12, "recordBytes": 100, "perBroker": [40_000]}}),
}
"""The same group later: twice what it can do was asked for, and its producers are held to what it sustains."""
QUOTAS: dict[str, Any] = {"quotas": [{"clientId": "shop", "minBytesPerSecond": 12_000}]}


def event(at: str, kind: str, reason: str, note: str, count: int = 1) -> dict[str, Any]:
    """As core/v1 shows what was posted to events.k8s.io."""
    series = {} if count == 1 else {"series": {"count": count, "lastObservedTime": at}}
    return {"eventTime": at, "type": kind, "reason": reason, "message": note, "lastTimestamp": None} | series


EVENTS = [
    event("2030-01-02T02:58:05.000000Z", "Warning", "HotPartition", HOT),
    event("2030-01-02T03:03:50.000000Z", "Normal", "ScaledUp", STATUS["lastDecision"]),
    event("2030-01-02T02:31:00.000000Z", "Normal", "ScaledUp", "Scaled up from 2 to 4: lag 3100 records (48 s)", 3),
]


def resource(status: Any = None, **spec: Any) -> dict[str, Any]:
    """The resource `shop/orders`; its status was written 12 s before NOW."""
    metadata = {
        "namespace": "shop", "name": "orders", "uid": "u-1", "generation": 3,
        "managedFields": [
            {"manager": "kubectl", "time": "2030-01-02T01:00:00Z"},
            {"manager": "kafka-consumer-scaler", "subresource": "status", "time": "2030-01-02T03:03:53Z"},
        ],
    }
    body = {"apiVersion": "kafka-consumer-scaler.dev/v1alpha1", "kind": "KafkaConsumerScaler", "metadata": metadata,
            "spec": SPEC | spec}
    return body if status is None else body | {"status": status}
