"""The finalizer of a KafkaConsumerScaler: while it is there, the API server keeps a deleted resource for us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import FIELD_MANAGER, MERGE_PATCH, ApiError, call, path_of, understood
from kafka_consumer_scaler.kube.resources import API_VERSION, PLURAL


class Finalizers:
    """Puts our finalizer on a resource, and takes it away; those of others stay.

    The whole list is written, as of the resourceVersion that it was read with: whoever changes it meanwhile wins, and
    ours is tried again.
    """

    def __init__(self, api: ApiClient, name: str) -> None:
        self._api, self._name = api, name

    async def hold(self, resource: Mapping[str, Any]) -> Unknown | None:
        """Put it on the resource with this very uid; None when it is there. A resource that is gone cannot be held."""
        said = await self._change(resource, lambda others: [*others, self._name])
        return Unknown("the resource was deleted", Reason.SCALE_FAILED) if said is GONE else said

    async def let_go(self, resource: Mapping[str, Any]) -> Unknown | None:
        """Take it from the resource with this very uid; None when it is not there."""
        said = await self._change(resource, lambda others: others)
        return None if said is GONE else said

    async def _change(
        self, resource: Mapping[str, Any], change: Callable[[list[str]], list[str]]
    ) -> Unknown | None:
        metadata = resource["metadata"]
        path = path_of(API_VERSION, "namespaces", metadata["namespace"], PLURAL, metadata["name"])
        try:
            now = await self._read(path)
            if now["uid"] != metadata["uid"]:
                return GONE
            others = [each for each in now["finalizers"] if each != self._name]
            wanted = change(others)
            if sorted(wanted) != sorted(now["finalizers"]):
                await self._write(path, {"uid": now["uid"], "resourceVersion": now["version"], "finalizers": wanted})
        except ApiError as error:
            return GONE if error.code == 404 else _unwritten(error, metadata["namespace"])
        return None

    async def _read(self, path: str) -> dict[str, Any]:
        found = await call(self._api, "GET", path)
        with understood():
            metadata = found["metadata"]
            listed = [str(each) for each in metadata.get("finalizers") or ()]
            return {"uid": metadata["uid"], "version": metadata["resourceVersion"], "finalizers": listed}

    async def _write(self, path: str, metadata: Mapping[str, Any]) -> None:
        query = [("fieldManager", FIELD_MANAGER)]
        await call(self._api, "PATCH", path, query=query, body={"metadata": metadata}, content_type=MERGE_PATCH)


GONE = Unknown("the resource is gone")


def _unwritten(error: ApiError, namespace: str) -> Unknown:
    if error.code == 403:
        why = f"the operator's role lacks patch on {PLURAL} in namespace {namespace}"
        return Unknown(f"{why}: producerQuotas.enabled in the chart grants it", Reason.NOT_AUTHORIZED)
    return error.as_unknown()
