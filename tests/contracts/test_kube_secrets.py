"""Reading Secrets and shared connections, and following them, on a real API server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.control.clock import SteadyClock
from kafka_consumer_scaler.control.connections import Resolver
from kafka_consumer_scaler.control.permissions import Permissions
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection, Sasl
from kafka_consumer_scaler.kube.connections import Connections
from kafka_consumer_scaler.kube.secrets import Secret, Secrets
from tests.api.manifests import CLUSTER_CONNECTION, CONNECTION
from tests.contracts.kube_objects import Environment, Kubectl, eventually
from tests.control.fakes import resource
from tests.planted import SUITE

pytestmark = pytest.mark.cluster

PLANTED = SUITE.plant("planted-4b1d", "the value of a Secret")
REFRESH_SECONDS = 0.5
REF = {"connectionRef": {"name": "shop"}}


def cluster_ref(namespace: str) -> dict[str, Any]:
    """To the ClusterKafkaConnection of a test: it is in no namespace, and has the name of the test's."""
    return {"connectionRef": {"kind": "ClusterKafkaConnection", "name": namespace}}


def put(kubectl: Kubectl, namespace: str, name: str, **values: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(secret))


def put_connection(kubectl: Kubectl, namespace: str, manifest: dict[str, Any], **more: Any) -> None:
    """A cluster's connection gets the namespace's name."""
    named = {"metadata": {"name": namespace}} if manifest is CLUSTER_CONNECTION else {}
    body = json.dumps(manifest | named | {"spec": manifest["spec"] | more})
    kubectl("apply", "-n", namespace, "-f", "-", stdin=body)


def may(kubectl: Kubectl, namespace: str, resource: str, *names: str) -> None:
    """Let the user nobody get the resources of these names; without names all of them."""
    only = [f"--resource-name={name}" for name in names]
    kubectl("create", "role", resource, "--verb=get", f"--resource={resource}", *only, "-n", namespace)
    kubectl("create", "rolebinding", resource, f"--role={resource}", "--user=nobody", "-n", namespace)


@pytest.fixture
def clusterwide(kubectl: Kubectl, namespace: str, custom_resource_definition: None) -> Iterator[None]:
    """The ClusterKafkaConnection of the test goes with it."""
    yield
    kubectl("delete", "ckconn", namespace, "--ignore-not-found")


@pytest.fixture
def operators_namespace(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    """Another one."""
    kubectl("create", "namespace", f"{namespace}-operator")
    yield f"{namespace}-operator"
    kubectl("delete", "namespace", f"{namespace}-operator", "--wait=false")


async def test_a_secret_is_read_by_name_and_key(api: ApiClient, kubectl: Kubectl, namespace: str) -> None:
    put(kubectl, namespace, "kafka-user", password=f"{PLANTED} \u00fc\n", user="orders")
    secret = await Secrets(api).secret(namespace, "kafka-user")
    assert isinstance(secret, Secret)
    assert (secret.text("password"), secret.text("user")) == (f"{PLANTED} \u00fc\n", "orders")
    assert secret.text("other") == Unknown(
        f"Secret {namespace}/kafka-user has no key other", Reason.SECRET_NOT_FOUND
    )
    assert PLANTED not in repr(secret)


async def test_a_secret_that_is_not_there_is_named(api: ApiClient, namespace: str) -> None:
    assert await Secrets(api).secret(namespace, "kafka-user") == Unknown(
        f"there is no Secret {namespace}/kafka-user", Reason.SECRET_NOT_FOUND
    )


async def test_bytes_that_are_no_text_are_named_and_not_shown(
    api: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    data = {"password": base64.b64encode(b"\xff\xfe").decode()}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "raw"}, "data": data}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))
    secret = await Secrets(api).secret(namespace, "raw")
    assert isinstance(secret, Secret)
    assert secret.text("password") == Unknown(
        f"key password of Secret {namespace}/raw is not text in UTF-8", Reason.SECRET_INVALID
    )


async def test_the_right_that_is_lacking_is_told_and_get_alone_suffices(
    api_of_nobody: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    put(kubectl, namespace, "kafka-user", password=PLANTED)
    put(kubectl, namespace, "other", password=PLANTED)
    secrets = Secrets(api_of_nobody)
    assert await secrets.secret(namespace, "kafka-user") == Unknown(
        f"the operator's role lacks get on secrets in namespace {namespace}, so Secret kafka-user cannot be read",
        Reason.SECRET_NOT_FOUND,
    )
    may(kubectl, namespace, "secrets", "kafka-user")

    async def is_read() -> bool:
        return isinstance(await secrets.secret(namespace, "kafka-user"), Secret)

    await eventually(is_read)
    assert isinstance(await secrets.secret(namespace, "other"), Unknown), "granted by name"


async def test_a_connection_is_read_and_a_missing_one_named(
    api: ApiClient, kubectl: Kubectl, namespace: str, clusterwide: None
) -> None:
    connections = Connections(api)
    assert await connections.namespaced(namespace, "shop") == Unknown(
        f"there is no KafkaConnection {namespace}/shop", Reason.CONNECTION_NOT_FOUND
    )
    assert await connections.clusterwide(namespace) == Unknown(
        f"there is no ClusterKafkaConnection {namespace}", Reason.CONNECTION_NOT_FOUND
    )
    put_connection(kubectl, namespace, CONNECTION)
    put_connection(kubectl, namespace, CLUSTER_CONNECTION)
    for found in (await connections.namespaced(namespace, "shop"), await connections.clusterwide(namespace)):
        assert not isinstance(found, Unknown)
        assert found["spec"]["bootstrapServers"] == "kafka:9093"


async def test_the_right_on_connections_that_is_lacking_is_told(
    api_of_nobody: ApiClient, namespace: str, custom_resource_definition: None
) -> None:
    connections = Connections(api_of_nobody)
    assert await connections.namespaced(namespace, "shop") == Unknown(
        f"the operator's role lacks get on kafkaconnections in namespace {namespace}, so KafkaConnection "
        f"{namespace}/shop cannot be read",
        Reason.CONNECTION_NOT_FOUND,
    )
    assert await connections.clusterwide("shop") == Unknown(
        "the operator's role lacks get on clusterkafkaconnections in the cluster, so ClusterKafkaConnection shop "
        "cannot be read",
        Reason.CONNECTION_NOT_FOUND,
    )


class Counted(Connections):
    """How often a connection was asked for."""

    asked = 0

    async def namespaced(self, namespace: str, name: str) -> dict[str, Any] | Unknown:
        self.asked += 1
        return await super().namespaced(namespace, name)


class Followed:
    """One resource, whose connection a resolver follows on the API server."""

    def __init__(self, api: ApiClient, namespace: str, kafka: dict[str, Any], own_namespace: str = "") -> None:
        self.registry = Registry(SteadyClock())
        self.registry.put(resource(namespace=namespace, kafka=kafka))
        self.connections = Counted(api)
        self.resolver = Resolver(self.registry, Secrets(api), self.connections, Permissions(), own_namespace,
                                 SteadyClock(), REFRESH_SECONDS)  # fmt: skip

    async def connection(self) -> Connection | Unknown | None:
        self.resolver.follow()
        (watched,) = self.registry.all()
        return watched.connection

    async def password(self) -> str:
        """What it would authenticate with; empty while that is not known."""
        found = await self.connection()
        return found.sasl.password if isinstance(found, Connection) and isinstance(found.sasl, Sasl) else ""

    async def until(self, password: str) -> None:
        async def is_so() -> bool:
            return await self.password() == password

        await eventually(is_so)

    async def until_refused(self, reason: Reason) -> str:
        async def is_so() -> bool:
            found = await self.connection()
            return isinstance(found, Unknown) and found.reason is reason

        await eventually(is_so)
        found = await self.connection()
        assert isinstance(found, Unknown)
        return found.why


@contextlib.asynccontextmanager
async def followed(*words: Any, **more: Any) -> AsyncIterator[Followed]:
    one = Followed(*words, **more)
    try:
        yield one
    finally:
        await one.resolver.stop()


async def test_a_rotated_secret_is_seen_and_a_deleted_one_is_missed(
    api: ApiClient, kubectl: Kubectl, namespace: str, custom_resource_definition: None
) -> None:
    put(kubectl, namespace, "kafka-user", password="first")  # noqa: S106
    put_connection(kubectl, namespace, CONNECTION)
    async with followed(api, namespace, REF) as one:
        await one.until("first")
        put(kubectl, namespace, "kafka-user", password="second")  # noqa: S106
        await one.until("second")
        kubectl("delete", "secret", "kafka-user", "-n", namespace)
        assert await one.until_refused(Reason.SECRET_NOT_FOUND) == f"there is no Secret {namespace}/kafka-user"


async def test_a_clusters_connection_serves_the_namespaces_that_it_allows_with_the_operators_secrets(
    api: ApiClient, kubectl: Kubectl, namespace: str, operators_namespace: str, clusterwide: None
) -> None:
    put(kubectl, operators_namespace, "kafka-user", password=PLANTED)
    put(kubectl, namespace, "kafka-user", password="the tenant's own")  # noqa: S106
    put_connection(kubectl, namespace, CLUSTER_CONNECTION)
    async with followed(api, namespace, cluster_ref(namespace), own_namespace=operators_namespace) as one:
        why = await one.until_refused(Reason.NOT_PERMITTED)
        assert f"does not allow namespace {namespace}" in why
        put_connection(kubectl, namespace, CLUSTER_CONNECTION, allowedNamespaces=[namespace])
        await one.until(PLANTED)
        put_connection(kubectl, namespace, CLUSTER_CONNECTION, allowedNamespaces=["elsewhere"])
        await one.until_refused(Reason.NOT_PERMITTED)


async def test_an_api_server_that_is_down_takes_no_credentials_away(
    api: ApiClient, kubectl: Kubectl, namespace: str, environment: Environment, custom_resource_definition: None
) -> None:
    put(kubectl, namespace, "kafka-user", password=PLANTED)
    put_connection(kubectl, namespace, CONNECTION)
    async with followed(api, namespace, REF) as one:
        await one.until(PLANTED)
        await asyncio.to_thread(environment.stop, "kube-apiserver")
        try:
            begun = one.connections.asked

            async def is_asked_in_vain() -> bool:
                assert await one.password() == PLANTED
                return one.connections.asked >= begun + 3

            await eventually(is_asked_in_vain)
        finally:
            await asyncio.to_thread(environment.start, "kube-apiserver")
        put(kubectl, namespace, "kafka-user", password="second")  # noqa: S106
        await one.until("second")
