"""Reading and writing the scale of workloads, on a real API server."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping

import pytest
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.kube import client
from kafka_consumer_scaler.kube.scale import ScaleClient
from kafka_consumer_scaler.kube.target import Target
from tests.contracts.kube_objects import Kubectl, eventually, workload
from tests.waiting import PATIENCE, PATIENCE_SECONDS

pytestmark = pytest.mark.cluster


async def can_read(scale: ScaleClient, target: Target) -> bool:
    return isinstance(await scale.read(target), Replicas)


async def test_the_replicas_of_a_deployment_are_read_and_written(api: ApiClient, deployment: Target) -> None:
    scale = ScaleClient(api)

    before = await scale.read(deployment)
    refused = await scale.write(deployment, 5, expected=2)
    after = await scale.read(deployment)

    assert isinstance(before, Replicas)
    assert isinstance(after, Replicas)
    assert (before.spec, refused, after.spec) == (2, None, 5)


async def test_the_write_carries_the_scalers_own_field_manager(
    api: ApiClient, kubectl: Kubectl, deployment: Target
) -> None:
    await ScaleClient(api).write(deployment, 5, expected=2)

    shown = kubectl(
        "get", "deployment", deployment.name, "-n", deployment.namespace, "--show-managed-fields", "-o", "json"
    )
    managers = {entry["manager"]: entry for entry in json.loads(shown.stdout)["metadata"]["managedFields"]}
    assert managers["kafka-consumer-scaler"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


async def test_the_replicas_of_a_stateful_set_are_read_and_written(
    api: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=workload("StatefulSet", "orders", 1, serviceName="orders"))
    target = Target("apps/v1", "StatefulSet", namespace, "orders")
    scale = ScaleClient(api)

    refused = await scale.write(target, 3, expected=1)

    found = await scale.read(target)
    assert refused is None
    assert isinstance(found, Replicas)
    assert found.spec == 3


async def test_zero_replicas_are_read_as_zero(api: ApiClient, deployment: Target) -> None:
    scale = ScaleClient(api)

    refused = await scale.write(deployment, 0, expected=2)

    found = await scale.read(deployment)
    assert refused is None
    assert isinstance(found, Replicas)
    assert found.spec == 0


GROUP = f"contracts-{uuid.uuid4().hex[:8]}.kafka-consumer-scaler.dev"
WORKER = f"workers.{GROUP}"


@pytest.fixture(scope="module")
def worker_definition(kubectl: Kubectl) -> Iterator[None]:
    """A custom resource that has a scale subresource."""
    integer = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
        },
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": integer, "status": integer}}},
    }
    plural, _, group = WORKER.partition(".")
    names = {"plural": plural, "singular": "worker", "kind": "Worker"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": WORKER},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(definition))
    kubectl("wait", "--for=condition=Established", f"crd/{WORKER}", PATIENCE)
    yield
    kubectl("delete", "crd", WORKER, "--wait=false")


def apply_worker(kubectl: Kubectl, namespace: str, spec: Mapping[str, int]) -> Target:
    api_version = f"{GROUP}/v1"
    manifest = {"apiVersion": api_version, "kind": "Worker", "metadata": {"name": "orders"}, "spec": spec}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))
    return Target(api_version, "Worker", namespace, "orders")


@pytest.mark.usefixtures("worker_definition")
async def test_a_custom_resource_with_a_scale_subresource_is_scaled(
    api: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    target = apply_worker(kubectl, namespace, {"replicas": 1})
    scale = ScaleClient(api)

    refused = await scale.write(target, 4, expected=1)

    assert refused is None
    assert await scale.read(target) == Replicas(spec=4, existing=0)


@pytest.mark.usefixtures("worker_definition")
async def test_a_custom_resource_that_names_no_replicas_is_not_scalable(
    api: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    target = apply_worker(kubectl, namespace, {})

    found = await ScaleClient(api).read(target)

    assert isinstance(found, Unknown)
    assert found.reason is Reason.TARGET_NOT_SCALABLE
    assert f"Worker {namespace}/orders does not say how many replicas it has" in found.why


@pytest.mark.parametrize("name", ["orders-consumer", ".."])
async def test_a_missing_target_is_unknown_and_named(api: ApiClient, namespace: str, name: str) -> None:
    target = Target("apps/v1", "Deployment", namespace, name)
    scale = ScaleClient(api)

    found = await scale.read(target)
    refused = await scale.write(target, 3, expected=1)

    assert isinstance(found, Unknown)
    assert isinstance(refused, Unknown)
    assert {found.reason, refused.reason} == {Reason.TARGET_NOT_FOUND}
    assert name in found.why


async def test_a_target_that_comes_back_is_read_again(api: ApiClient, kubectl: Kubectl, namespace: str) -> None:
    scale = ScaleClient(api)
    target = Target("apps/v1", "Deployment", namespace, "orders-consumer")
    missing = await scale.read(target)

    kubectl("apply", "-n", namespace, "-f", "-", stdin=workload("Deployment", "orders-consumer", 2))
    found = await scale.read(target)

    assert isinstance(missing, Unknown)
    assert missing.why == f"Deployment {namespace}/orders-consumer does not exist"
    assert isinstance(found, Replicas)


@pytest.mark.parametrize(
    ("api_version", "kind", "why"),
    [
        ("apps/v1", "DaemonSet", "DaemonSet (apps/v1) has no scale subresource"),
        ("v1", "Node", "Node (v1) has no scale subresource"),
        ("apps/v1", "Deploymint", "the API server knows no kind Deploymint in apps/v1"),
        ("nowhere.example/v1", "Worker", "the API server knows no kind Worker in nowhere.example/v1"),
        ("../../v1", "Deployment", "'../../v1' is not an apiVersion"),
    ],
)
async def test_a_kind_without_a_scale_is_not_scalable(
    api: ApiClient, namespace: str, api_version: str, kind: str, why: str
) -> None:
    found = await ScaleClient(api).read(Target(api_version, kind, namespace, "orders"))

    assert found == Unknown(why, Reason.TARGET_NOT_SCALABLE)


async def test_a_kind_that_is_installed_later_becomes_scalable(
    api: ApiClient, kubectl: Kubectl, namespace: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka_consumer_scaler.kube.discovery.BELIEVED_SECONDS", 0.0)
    scale = ScaleClient(api)
    before = await scale.read(Target(f"{GROUP}/v2", "Worker", namespace, "orders"))

    request.getfixturevalue("worker_definition")
    after = await scale.read(apply_worker(kubectl, namespace, {"replicas": 1}))

    assert isinstance(before, Unknown)
    assert after == Replicas(spec=1, existing=0)


async def test_a_role_that_lacks_a_verb_is_told_which(api_of_nobody: ApiClient, deployment: Target) -> None:
    found = await ScaleClient(api_of_nobody).read(deployment)

    why = f"the operator's role lacks get on deployments.apps/scale in namespace {deployment.namespace}"
    assert found == Unknown(why, Reason.TARGET_FORBIDDEN)


async def test_a_role_that_may_only_read_is_told_that_it_lacks_patch(
    api_of_nobody: ApiClient, kubectl: Kubectl, deployment: Target
) -> None:
    in_namespace = ("-n", deployment.namespace)
    kubectl("create", "role", "reader", "--verb=get", "--resource=deployments.apps/scale", *in_namespace)
    kubectl("create", "rolebinding", "reader", "--role=reader", "--user=nobody", *in_namespace)
    scale = ScaleClient(api_of_nobody)
    await eventually(lambda: can_read(scale, deployment))

    refused = await scale.write(deployment, 5, expected=2)

    why = f"the operator's role lacks patch on deployments.apps/scale in namespace {deployment.namespace}"
    assert refused == Unknown(why, Reason.TARGET_FORBIDDEN)


async def test_a_write_is_refused_when_someone_scaled_meanwhile(
    api: ApiClient, kubectl: Kubectl, deployment: Target
) -> None:
    kubectl("scale", "deployment", deployment.name, "-n", deployment.namespace, "--replicas=7")
    scale = ScaleClient(api)

    refused = await scale.write(deployment, 5, expected=2)

    why = f"{deployment} changed meanwhile: it is at 7 replicas, 2 were expected"
    assert refused == Unknown(why, Reason.SCALE_FAILED)
    found = await scale.read(deployment)
    assert isinstance(found, Replicas)
    assert found.spec == 7


async def test_of_many_writers_who_expect_the_same_number_one_succeeds(api: ApiClient, deployment: Target) -> None:
    wanted = range(10, 20)

    answers = await asyncio.gather(*(ScaleClient(api).write(deployment, n, expected=2) for n in wanted))

    found = await ScaleClient(api).read(deployment)
    winners = [n for n, refused in zip(wanted, answers, strict=True) if refused is None]
    assert isinstance(found, Replicas)
    assert winners == [found.spec]
    assert {refused.reason for refused in answers if refused} == {Reason.SCALE_FAILED}


def flow_control_with_one_seat(user: str) -> str:
    """A priority level for one user that rejects what does not find its only seat free."""
    api_version = "flowcontrol.apiserver.k8s.io/v1"
    level = {
        "apiVersion": api_version,
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": user},
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 0,
                "lendablePercent": 0,
                "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    }
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    everywhere = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    rule = {
        "subjects": [{"kind": "User", "user": {"name": user}}],
        "resourceRules": [everything],
        "nonResourceRules": [everywhere],
    }
    schema = {
        "apiVersion": api_version,
        "kind": "FlowSchema",
        "metadata": {"name": user},
        "spec": {"priorityLevelConfiguration": {"name": user}, "matchingPrecedence": 2, "rules": [rule]},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [level, schema]})


async def test_a_server_with_too_many_requests_is_asked_again_after_the_pause_it_asks_for(
    api_of_nobody: ApiClient, kubectl: Kubectl, deployment: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question that is turned away is asked again once: there are no more pauses than questions."""
    user, pauses, asked = deployment.namespace, list[tuple[str | None, float]](), 0
    api_of_nobody.set_default_header("Impersonate-User", user)
    scale, pause_seconds = ScaleClient(api_of_nobody), client._pause_seconds

    def noted(retry_after: str | None) -> float:
        pauses.append((retry_after, pause_seconds(retry_after)))
        return pauses[-1][1]

    async def timed_read() -> tuple[float, Reason | None]:
        begun = asyncio.get_running_loop().time()
        answer = await scale.read(deployment)
        return asyncio.get_running_loop().time() - begun, answer.reason if isinstance(answer, Unknown) else None

    monkeypatch.setattr(client, "_pause_seconds", noted)
    kubectl("apply", "-f", "-", stdin=flow_control_with_one_seat(user))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not pauses:
                answers = await asyncio.gather(*(timed_read() for _ in range(60)))
                asked += len(answers) + 1  # the first one asks for the kinds too
    finally:
        kubectl("delete", "flowschema,prioritylevelconfiguration", user)

    assert set(pauses) == {("1", 1.0)}, "the server's Retry-After is one second"
    assert max(seconds for seconds, _ in answers) >= 1.0
    assert len(pauses) <= asked
    assert {reason for _, reason in answers} <= {Reason.TARGET_FORBIDDEN, Reason.API_SERVER_UNREACHABLE}
