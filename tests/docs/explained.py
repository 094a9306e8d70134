"""The example of docs/explain.md: a resource whose status is what the operator makes of a story."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kafka_consumer_scaler.api.conditions import timestamp
from kafka_consumer_scaler.api.status import explained, status_of
from kafka_consumer_scaler.api.v1alpha1 import KafkaConsumerScaler
from kafka_consumer_scaler.cli.standing import standing_of
from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.snapshot import Replicas
from tests.docs.pages import page
from tests.world import T0, Seen, World, steps

PAGE = page("docs/explain.md")


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
    policy = KafkaConsumerScaler.parse(resource).policy()
    status: dict[str, Any] = {}
    for row in world.rows:
        status = explained(status_of(row.verdict, 1, status, _time(row).timestamp()), policy, row.verdict)
    written = _time(world.rows[-1])
    managed = [{"manager": "kafka-consumer-scaler", "subresource": "status", "time": timestamp(written.timestamp())}]
    resource |= {"status": status, "metadata": resource["metadata"] | {"managedFields": managed}}
    asked = written + timedelta(seconds=7)
    replicas = Replicas(world.replicas, world.ready)
    return standing_of(resource, replicas, _events(world.rows), asked), asked


def _time(row: Seen) -> datetime:
    return datetime.fromtimestamp(T0 + row.at, UTC)


def _events(rows: list[Seen]) -> list[dict[str, Any]]:
    """What the operator posts: its complaints, and each change once it was carried out."""
    said = [(row, event) for row in rows for event in (*row.verdict.events, row.verdict.announcement) if event]
    return [{"eventTime": timestamp(_time(row).timestamp()), "reason": str(event.reason),
             "type": "Warning" if event.warning else "Normal", "message": event.message} for row, event in said]
