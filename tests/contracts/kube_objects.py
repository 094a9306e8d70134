"""Objects for the contract tests of the kube room, and the environment as those tests need it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Protocol

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.kube.client import call, path_of
from kafka_consumer_scaler.kube.resources import API_VERSION, PLURAL
from tests.waiting import PATIENCE_SECONDS

Kubectl = Callable[..., CompletedProcess[str]]


class Environment(Protocol):
    """What of the environment is needed here."""

    kubeconfig: Path

    def stop(self, component: str) -> None: ...
    def start(self, component: str) -> None: ...


def workload(kind: str, name: str, replicas: int, **more: Any) -> str:
    """A Deployment or StatefulSet whose pods nobody will ever run."""
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"nodeSelector": {"nowhere": "true"}, "containers": [{"name": "consumer", "image": "consumer"}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **more}
    return json.dumps({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def scaler_manifest(name: str) -> dict[str, Any]:
    spec = {
        "scaleTargetRef": {"name": "orders-consumer"},
        "kafka": {"bootstrapServers": "kafka:9092"},
        "consumerGroup": name,
        "maxReplicas": 12,
    }
    return {"apiVersion": API_VERSION, "kind": "KafkaConsumerScaler", "metadata": {"name": name}, "spec": spec}


async def create_scaler(api: ApiClient, namespace: str, name: str) -> dict[str, Any]:
    return await call(api, "POST", path_of(API_VERSION, "namespaces", namespace, PLURAL), body=scaler_manifest(name),
                      timeout_seconds=60)


async def scaler(api: ApiClient, namespace: str, name: str) -> dict[str, Any]:
    return await call(api, "GET", path_of(API_VERSION, "namespaces", namespace, PLURAL, name))


async def eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so, as patiently as all tests do."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        so = await is_so()
        while not so:
            await asyncio.sleep(0.1)
            so = await is_so()
