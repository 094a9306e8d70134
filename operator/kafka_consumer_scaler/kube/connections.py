"""The KafkaConnections and ClusterKafkaConnections, one at a time."""

from __future__ import annotations

from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import ApiError, call, path_of
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
        return await self._read(path, "kafkaconnections", f"KafkaConnection {namespace}/{name}",
                                f"in namespace {namespace}")

    async def clusterwide(self, name: str) -> dict[str, Any] | Unknown:
        """A ClusterKafkaConnection as the API server has it, or why it cannot be read. Never raises."""
        path = path_of(API_VERSION, "clusterkafkaconnections", name)
        return await self._read(path, "clusterkafkaconnections", f"ClusterKafkaConnection {name}", "in the cluster")

    async def _read(self, path: str, plural: str, spoken: str, where: str) -> dict[str, Any] | Unknown:
        try:
            return await call(self._api, "GET", path, timeout_seconds=READ_SECONDS)
        except ApiError as error:
            if error.code == 403:
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
