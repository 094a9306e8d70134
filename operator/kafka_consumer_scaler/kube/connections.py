"""The KafkaConnections and ClusterKafkaConnections, one at a time."""

from __future__ import annotations

from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import ApiError, call, expect, path_of, understood
from kafka_consumer_scaler.kube.resources import API_VERSION

READ_SECONDS = 5.0
"""How long the API server may take to answer."""


class Connections:
    """The shared connections that the operator's role may get."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def namespaced(self, namespace: str, name: str) -> dict[str, Any] | Unknown:
        """A KafkaConnection as the API server has it, or why it cannot be read. Never raises."""
        path = path_of(API_VERSION, "namespaces", namespace, "kafkaconnections", name)
        return await self._read(path, "KafkaConnection", name, namespace)

    async def clusterwide(self, name: str) -> dict[str, Any] | Unknown:
        """A ClusterKafkaConnection as the API server has it, or why it cannot be read. Never raises."""
        path = path_of(API_VERSION, "clusterkafkaconnections", name)
        return await self._read(path, "ClusterKafkaConnection", name)

    async def _read(self, path: str, kind: str, name: str, namespace: str = "") -> dict[str, Any] | Unknown:
        try:
            found = await call(self._api, "GET", path, timeout_seconds=READ_SECONDS)
            with understood():
                expect(found, kind, name)
                return found
        except ApiError as error:
            return _unread(error, kind, f"{namespace}/{name}" if namespace else name, namespace)


def _unread(error: ApiError, kind: str, path: str, namespace: str) -> Unknown:
    plural, spoken = f"{kind.lower()}s", f"{kind} {path}"
    if error.code == 403:
        where = f"in namespace {namespace}" if namespace else "in the cluster"
        lacks = f"the operator's role lacks get on {plural} {where}"
        return Unknown(f"{lacks}, so {spoken} cannot be read", Reason.CONNECTION_NOT_FOUND)
    if error.code == 404:
        return Unknown(_missing(error, plural, spoken), Reason.CONNECTION_NOT_FOUND)
    return error.as_unknown()


def _missing(error: ApiError, plural: str, spoken: str) -> str:
    """A 404 without a name is about the kind."""
    if error.details.get("name"):
        return f"there is no {spoken}"
    return f"the API server does not know {plural}: is their CRD installed?"
