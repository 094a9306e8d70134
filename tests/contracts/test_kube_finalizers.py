"""Our finalizer on a real API server: put, taken away, beside those of others, and on no other object."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.api.v1alpha1 import FINALIZER
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.finalizers import Finalizers
from tests.contracts.kube_objects import Kubectl
from tests.waiting import PATIENCE

pytestmark = pytest.mark.cluster
OTHER = "example.com/other"


def listed(kubectl: Kubectl, resource: dict[str, Any]) -> list[str]:
    where = ("kcs", resource["metadata"]["name"], "-n", resource["metadata"]["namespace"])
    return list(json.loads(kubectl("get", *where, "-o", "json").stdout)["metadata"].get("finalizers") or ())


def give(kubectl: Kubectl, resource: dict[str, Any], finalizers: list[str]) -> None:
    where = ("kcs", resource["metadata"]["name"], "-n", resource["metadata"]["namespace"])
    kubectl("patch", *where, "--type=merge", "-p", json.dumps({"metadata": {"finalizers": finalizers}}))


async def test_it_is_put_and_taken_away_and_doing_it_twice_changes_nothing(
    api: ApiClient, kubectl: Kubectl, orders: dict[str, Any]
) -> None:
    finalizers = Finalizers(api, FINALIZER)
    for _ in range(2):
        assert await finalizers.hold(orders) is None
        assert listed(kubectl, orders) == [FINALIZER]
    for _ in range(2):
        assert await finalizers.let_go(orders) is None
        assert listed(kubectl, orders) == []


async def test_those_of_others_stay(api: ApiClient, kubectl: Kubectl, orders: dict[str, Any]) -> None:
    give(kubectl, orders, [OTHER])
    finalizers = Finalizers(api, FINALIZER)
    assert await finalizers.hold(orders) is None
    assert sorted(listed(kubectl, orders)) == [OTHER, FINALIZER]
    assert await finalizers.let_go(orders) is None
    assert listed(kubectl, orders) == [OTHER]
    give(kubectl, orders, [])


async def test_a_deleted_resource_waits_for_it_and_takes_it_no_more(
    api: ApiClient, kubectl: Kubectl, orders: dict[str, Any]
) -> None:
    finalizers, where = Finalizers(api, FINALIZER), ("-n", orders["metadata"]["namespace"])
    give(kubectl, orders, [OTHER])
    kubectl("delete", "kcs", "orders", *where, "--wait=false")
    assert isinstance(await finalizers.hold(orders), Unknown)
    give(kubectl, orders, [])
    kubectl("wait", "kcs/orders", *where, "--for=delete", PATIENCE)
    assert isinstance(await finalizers.hold(orders), Unknown)
    assert await finalizers.let_go(orders) is None


async def test_an_object_that_bears_the_name_by_now_is_left_alone(
    api: ApiClient, kubectl: Kubectl, orders: dict[str, Any]
) -> None:
    another = {**orders, "metadata": {**orders["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}}
    finalizers = Finalizers(api, FINALIZER)
    assert isinstance(await finalizers.hold(another), Unknown)
    assert await finalizers.let_go(another) is None
    assert listed(kubectl, orders) == []


async def test_a_missing_right_is_named(api_of_nobody: ApiClient, orders: dict[str, Any]) -> None:
    said = await Finalizers(api_of_nobody, FINALIZER).hold(orders)
    assert isinstance(said, Unknown)
    assert said.reason is Reason.NOT_AUTHORIZED
    assert "producerQuotas.enabled" in said.why
