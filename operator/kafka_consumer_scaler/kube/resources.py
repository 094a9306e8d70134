"""The KafkaConsumerScalers there are, page by page."""

from __future__ import annotations

from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import ApiError, call, expect, path_of, understood

API_VERSION = "kafka-consumer-scaler.dev/v1alpha1"
KIND = "KafkaConsumerScaler"
PLURAL = "kafkaconsumerscalers"

PAGE_SIZE = 500
TRIES = 3
"""A continue token expires with etcd's compaction (after some 5 minutes); then the list begins anew, so often."""


async def list_scalers(
    api: ApiClient, namespace: str | None, page_size: int = PAGE_SIZE
) -> list[dict[str, Any]] | Unknown:
    """Every KafkaConsumerScaler of the namespace, or of the cluster; Unknown rather than a part of them."""
    scope = ("namespaces", namespace) if namespace else ()
    path = path_of(API_VERSION, *scope, PLURAL)
    try:
        for _ in range(TRIES - 1):
            try:
                return await _all_pages(api, path, page_size)
            except ApiError as error:
                if error.code != 410:
                    raise
        return await _all_pages(api, path, page_size)
    except ApiError as error:
        return _unlisted(error, namespace)


async def _all_pages(api: ApiClient, path: str, page_size: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    position = ""
    while True:
        query = [("limit", str(page_size)), *([("continue", position)] if position else [])]
        page = await call(api, "GET", path, query=query, timeout_seconds=30)
        with understood():
            items += [_named(item) for item in page.get("items") or []]
            before, position = position, str((page.get("metadata") or {}).get("continue") or "")
        if not position:
            return items
        if position == before:
            raise ApiError(0, "the API server gives the same page of a list again and again")


def _named(item: dict[str, Any]) -> dict[str, Any]:
    """The item, if it is an object of its own: raises what `understood` expects where it is not."""
    metadata = item["metadata"]
    if not all(isinstance(metadata[key], str) for key in ("namespace", "name", "uid")):
        raise ValueError("an item's namespace, name or uid is no text")
    int(metadata.get("generation") or 0)
    return item


def _unlisted(error: ApiError, namespace: str | None) -> Unknown:
    if error.code == 403:
        where = f"in namespace {namespace}" if namespace else "in the cluster"
        return Unknown(f"the operator's role lacks list on {PLURAL} {where}", Reason.NOT_AUTHORIZED)
    if error.code == 404:
        return Unknown(f"the API server does not know {PLURAL}: is the CRD installed?", Reason.API_SERVER_UNREACHABLE)
    return error.as_unknown()


async def scaler_named(api: ApiClient, namespace: str, name: str) -> dict[str, Any] | Unknown | None:
    """The KafkaConsumerScaler that has this name now; None when there is none."""
    try:
        found = await call(api, "GET", path_of(API_VERSION, "namespaces", namespace, PLURAL, name))
        with understood():
            expect(found, KIND, name)
            return _named(found)
    except ApiError as error:
        return None if error.code == 404 else error.as_unknown()


async def uid_of(api: ApiClient, namespace: str, name: str) -> str | Unknown | None:
    """The uid of the KafkaConsumerScaler that has this name now; None when there is none or it is being deleted."""
    try:
        found = await call(api, "GET", path_of(API_VERSION, "namespaces", namespace, PLURAL, name))
        with understood():
            metadata = found["metadata"]
            return None if metadata.get("deletionTimestamp") else str(metadata["uid"])
    except ApiError as error:
        return None if error.code == 404 else error.as_unknown()
