"""Connections to the API server and objects on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kube.client import connect
from kafka_consumer_scaler.kube.target import Target
from tests.contracts.kube_objects import Environment, Kubectl, create_scaler, workload
from tests.contracts.secured_group import ODD, Asked
from tests.contracts.test_lag_source import Cluster
from tests.environment import Environment as WholeEnvironment
from tests.environment import Unsupported
from tests.oidc import Provider, identity_provider
from tests.secured import SecuredBroker


@pytest_asyncio.fixture
async def api(with_api: Environment) -> AsyncIterator[ApiClient]:
    connected = await connect(str(with_api.kubeconfig))
    yield connected
    await connected.close()


@pytest_asyncio.fixture
async def api_of_nobody(with_api: Environment) -> AsyncIterator[ApiClient]:
    """Connected as a user whom no role names."""
    connected = await connect(str(with_api.kubeconfig))
    connected.set_default_header("Impersonate-User", "nobody")
    yield connected
    await connected.close()


@pytest.fixture
def deployment(kubectl: Kubectl, namespace: str) -> Target:
    """A Deployment of 2 replicas."""
    kubectl("apply", "-n", namespace, "-f", "-", stdin=workload("Deployment", "orders-consumer", 2))
    return Target("apps/v1", "Deployment", namespace, "orders-consumer")


@pytest_asyncio.fixture
async def orders(api: ApiClient, namespace: str, custom_resource_definition: None) -> dict[str, Any]:
    """A KafkaConsumerScaler named orders."""
    return await create_scaler(api, namespace, "orders")


@pytest.fixture(scope="module")
def broker(with_broker: WholeEnvironment) -> SecuredBroker:
    try:
        return SecuredBroker.of(with_broker)
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.fixture
def provider(broker: SecuredBroker) -> Iterator[Provider]:
    with identity_provider(broker.security, {"operator": ODD, "stranger": "another-secret"}) as running:
        yield running


@pytest_asyncio.fixture
async def process() -> AsyncIterator[PollingProcess]:
    process = PollingProcess()
    await process.start()
    yield process
    await process.stop()


@pytest.fixture
def cluster(kafka_bootstrap_servers: str) -> Iterator[Cluster]:
    cluster = Cluster(kafka_bootstrap_servers)
    yield cluster
    cluster.clear()


@pytest.fixture
def asked(cluster: Cluster) -> Asked:
    return Asked(cluster)
