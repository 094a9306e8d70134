"""The example of docs/explain.md: a resource whose status is what the operator makes of a story."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka_consumer_scaler.api.conditions import timestamp
from kafka_consumer_scaler.api.status import explained, safe_rate_as_status, status_of
from kafka_consumer_scaler.api.upstream import Lease, leases_as_status
from kafka_consumer_scaler.api.v1alpha1 import KafkaConsumerScaler
from kafka_consumer_scaler.cli.standing import standing_of
from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.snapshot import Replicas
from kafka_consumer_scaler.core.verdict import Verdict
from tests.docs.pages import page
from tests.stories.test_producers import told
from tests.world import T0, World, steps

PAGE = page("docs/explain.md")
HELD_SINCE, HELD_UNTIL = 345, 600
"""Seconds of the story in which producers are held back."""


def body() -> dict[str, Any]:
    """The manifest of the README, as the API server has it."""
    return {
        "apiVersion": "kafka-consumer-scaler.dev/v1alpha1", "kind": "KafkaConsumerScaler",
        "metadata": {"namespace": "shop", "name": "orders", "generation": 1},
        "spec": {"scaleTargetRef": {"name": "orders-consumer"}, "kafka": {"bootstrapServers": "kafka:9092"},
                 "consumerGroup": "orders", "maxReplicas": 12},
    }


def played() -> World:
    """A steady load, then four times as much, unevenly spread: one partition of twelve is hot for a consumer."""
    policy = KafkaConsumerScaler.parse(body()).policy()
    world = World(policy, steps((0, 190), (600, 760)), replicas=4, weights=[2.2, 1.6, 1.3, *[1.0] * 9],
                  pod_start_seconds=40, memory=Memory(capacity=Capacity(100.0, learned=True)))
    world.run(645)
    return world


def example() -> tuple[dict[str, Any], datetime]:
    """How it stands 7 s after the last look, and when that is."""
    world, resource = played(), body()
    seen = [(row.at, row.verdict) for row in world.rows]
    return _standing(resource, seen, Replicas(world.replicas, world.ready), {})


def held_example() -> tuple[dict[str, Any], datetime]:
    """The same for a group that is asked for twice what twelve consumers do, and whose producers are held back."""
    resource = body()
    resource["spec"]["backpressure"] = {"quotas": [{"clientId": "shop", "minBytesPerSecond": 12_000}]}
    seen = [(at, verdict) for at, verdict in told(KafkaConsumerScaler.parse(resource).policy()) if at <= HELD_UNTIL]
    at, verdict = seen[-1]
    assert verdict.throttle is not None
    (quota,) = verdict.throttle.quotas
    lease = Lease(round(quota.bytes_per_broker), T0 + HELD_SINCE, "kafka", quota.client_id, is_seen=True)
    upstream = leases_as_status([lease]) | safe_rate_as_status(verdict.safe_rate, T0 + at + 180)
    return _standing(resource, seen, Replicas(12, 12), upstream)


def _standing(resource: dict[str, Any], seen: Sequence[tuple[float, Verdict]], replicas: Replicas,
              upstream: dict[str, Any]) -> tuple[dict[str, Any], datetime]:
    """What the operator makes of the looks, read 7 s after the last one."""
    policy = KafkaConsumerScaler.parse(resource).policy()
    status: dict[str, Any] = {}
    for at, verdict in seen:
        status = explained(status_of(verdict, 1, status, _time(at).timestamp()), policy, verdict)
    written = _time(seen[-1][0])
    managed = [{"manager": "kafka-consumer-scaler", "subresource": "status", "time": timestamp(written.timestamp())}]
    resource |= {"status": status | upstream, "metadata": resource["metadata"] | {"managedFields": managed}}
    asked = written + timedelta(seconds=7)
    return standing_of(resource, replicas, _events(seen), asked), asked


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(T0 + at, UTC)


def _events(seen: Sequence[tuple[float, Verdict]]) -> list[dict[str, Any]]:
    """What the operator posts: its complaints, and each change once it was carried out."""
    said = [(at, event) for at, verdict in seen for event in (*verdict.events, verdict.announcement) if event]
    return [{"eventTime": timestamp(_time(at).timestamp()), "reason": str(event.reason),
             "type": "Warning" if event.warning else "Normal", "message": event.message} for at, event in said]
