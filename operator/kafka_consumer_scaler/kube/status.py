"""Writing the status of a KafkaConsumerScaler, and of no other object that came to bear its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import FIELD_MANAGER, JSON_PATCH, ApiError, call, path_of
from kafka_consumer_scaler.kube.resources import API_VERSION, PLURAL


class StatusWriter:
    """Replaces the whole status in one request.

    A JSON patch, because its `test` is evaluated by the API server together with the write. A merge patch with
    `metadata.uid` is no protection here: the status strategy of custom resources puts the old metadata back before
    the uid is compared, so a wrong uid is accepted. And `add` replaces, so a value that became unknown disappears.
    """

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def write(self, resource: Mapping[str, Any], status: Mapping[str, Any]) -> Unknown | None:
        """Set the status of the resource with this very uid; None when it is done, or when that resource is gone."""
        metadata = resource["metadata"]
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "add", "path": "/status", "value": dict(status)},
        ]
        path = path_of(API_VERSION, "namespaces", metadata["namespace"], PLURAL, metadata["name"], "status")
        try:
            query = [("fieldManager", FIELD_MANAGER)]
            await call(self._api, "PATCH", path, query=query, body=patch, content_type=JSON_PATCH)
        except ApiError as error:
            return None if _is_gone(error) else _unwritten(error, metadata["namespace"])
        return None


def _is_gone(error: ApiError) -> bool:
    """A failed `test` is a 422 without causes; a status that the schema rejects is a 422 with them."""
    return error.code == 404 or (error.code == 422 and not error.details.get("causes"))


def _unwritten(error: ApiError, namespace: str) -> Unknown:
    if error.code == 403:
        why = f"the operator's role lacks patch on {PLURAL}/status in namespace {namespace}"
        return Unknown(why, Reason.NOT_AUTHORIZED)
    return error.as_unknown()
