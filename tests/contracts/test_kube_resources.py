"""Listing resources, writing their status and finding their rivals, on a real API server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.resources import list_scalers, scaler_named, uid_of
from kafka_consumer_scaler.kube.rivals import Rivals
from kafka_consumer_scaler.kube.status import StatusWriter
from kafka_consumer_scaler.kube.target import Target
from tests.contracts.kube_objects import Kubectl, create_scaler, scaler

pytestmark = pytest.mark.cluster


async def test_a_status_is_written_whole_and_lost_values_are_removed(
    api: ApiClient, orders: dict[str, Any], namespace: str
) -> None:
    writer = StatusWriter(api)

    answers = [
        await writer.write(orders, {"observedGeneration": 1, "currentReplicas": 2, "partitions": 12}),
        await writer.write(orders, {"observedGeneration": 1, "currentReplicas": 3}),
    ]

    found = await scaler(api, namespace, "orders")
    assert answers == [None, None]
    assert found["status"] == {"observedGeneration": 1, "currentReplicas": 3}
    assert found["spec"] == orders["spec"]


async def test_a_recreated_resource_is_never_given_the_status_of_the_old_one(
    api: ApiClient, orders: dict[str, Any], kubectl: Kubectl, namespace: str
) -> None:
    kubectl("delete", "kafkaconsumerscaler", "orders", "-n", namespace)
    await create_scaler(api, namespace, "orders")

    refused = await StatusWriter(api).write(orders, {"observedGeneration": 1})

    assert refused is None
    assert "status" not in await scaler(api, namespace, "orders")


async def test_the_status_of_a_deleted_resource_is_no_error(
    api: ApiClient, orders: dict[str, Any], kubectl: Kubectl, namespace: str
) -> None:
    kubectl("delete", "kafkaconsumerscaler", "orders", "-n", namespace)

    assert await StatusWriter(api).write(orders, {"observedGeneration": 1}) is None


async def test_a_status_that_the_role_may_not_write_is_told(
    api_of_nobody: ApiClient, orders: dict[str, Any], namespace: str
) -> None:
    refused = await StatusWriter(api_of_nobody).write(orders, {"observedGeneration": 1})

    why = f"the operator's role lacks patch on kafkaconsumerscalers/status in namespace {namespace}"
    assert refused == Unknown(why, Reason.NOT_AUTHORIZED)


@pytest.mark.usefixtures("custom_resource_definition")
async def test_twelve_hundred_resources_are_listed_page_by_page(api: ApiClient, namespace: str) -> None:
    names = {f"orders-{n:04}" for n in range(1200)}
    gate = asyncio.Semaphore(20)

    async def create(name: str) -> None:
        async with gate:  # a request's time runs while it waits for a connection
            await create_scaler(api, namespace, name)

    await asyncio.gather(*map(create, names))

    in_namespace = await list_scalers(api, namespace)
    in_cluster = await list_scalers(api, None)

    assert isinstance(in_namespace, list)
    assert isinstance(in_cluster, list)
    assert len(in_namespace) == 1200
    assert {item["metadata"]["name"] for item in in_namespace} == names
    assert names <= {item["metadata"]["name"] for item in in_cluster}


@pytest.mark.usefixtures("custom_resource_definition")
async def test_resources_that_may_not_be_listed_are_unknown_and_not_none(
    api_of_nobody: ApiClient, namespace: str
) -> None:
    why = f"the operator's role lacks list on kafkaconsumerscalers in namespace {namespace}"
    assert await list_scalers(api_of_nobody, namespace) == Unknown(why, Reason.NOT_AUTHORIZED)


async def test_the_uid_under_a_name_is_that_of_the_resource_that_has_it_now(
    api: ApiClient, orders: dict[str, Any], kubectl: Kubectl, namespace: str
) -> None:
    first = await uid_of(api, namespace, "orders")
    kubectl("delete", "kafkaconsumerscaler", "orders", "-n", namespace)
    gone = await uid_of(api, namespace, "orders")
    recreated = await create_scaler(api, namespace, "orders")
    second = await uid_of(api, namespace, "orders")

    assert (first, gone, second) == (orders["metadata"]["uid"], None, recreated["metadata"]["uid"])


async def test_the_resource_of_a_name_is_read_whole_and_none_is_told_from_one_that_may_not_be_read(
    api: ApiClient, api_of_nobody: ApiClient, orders: dict[str, Any], namespace: str
) -> None:
    assert await scaler_named(api, namespace, "orders") == orders
    assert await scaler_named(api, namespace, "nobody") is None
    refused = await scaler_named(api_of_nobody, namespace, "orders")
    assert isinstance(refused, Unknown)
    assert refused.why.startswith("the API server answered 403: ")


def autoscale(kubectl: Kubectl, target: Target) -> None:
    """Put a HorizontalPodAutoscaler named rival on the target."""
    reference = {"apiVersion": target.api_version, "kind": target.kind, "name": target.name}
    spec = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 3}
    manifest = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "rival"},
        "spec": spec,
    }
    kubectl("apply", "-n", target.namespace, "-f", "-", stdin=json.dumps(manifest))


async def test_an_autoscaler_on_the_same_target_is_found(api: ApiClient, kubectl: Kubectl, deployment: Target) -> None:
    autoscale(kubectl, deployment)
    rivals = Rivals(api)

    found = await rivals.other_scalers(deployment)
    of_another = await rivals.other_scalers(Target("apps/v1", "StatefulSet", deployment.namespace, deployment.name))

    assert found == f"HorizontalPodAutoscaler {deployment.namespace}/rival"
    assert of_another is None


async def test_an_autoscaler_is_noticed_within_a_minute(api: ApiClient, kubectl: Kubectl, deployment: Target) -> None:
    now = 0.0
    rivals = Rivals(api, clock=lambda: now)
    before = await rivals.other_scalers(deployment)
    autoscale(kubectl, deployment)

    now = 59.0
    from_the_cache = await rivals.other_scalers(deployment)
    now = 60.0
    after = await rivals.other_scalers(deployment)

    assert (before, from_the_cache) == (None, None)
    assert after == f"HorizontalPodAutoscaler {deployment.namespace}/rival"


async def test_autoscalers_that_may_not_be_listed_are_unknown_and_logged_once(
    api_of_nobody: ApiClient, deployment: Target, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    rivals = Rivals(api_of_nobody, clock=lambda: now)

    answers = [await rivals.other_scalers(deployment)]
    now = 61.0
    answers.append(await rivals.other_scalers(deployment))

    assert [type(answer) for answer in answers] == [Unknown, Unknown]
    assert len(caplog.records) == 1
    assert "lacks list on horizontalpodautoscalers.autoscaling" in caplog.text
