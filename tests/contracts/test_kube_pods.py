"""What is the matter with pods, on a real API server with a real scheduler and kubelet."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.kube.pods import Pods
from kafka_consumer_scaler.kube.target import Target
from tests.contracts.kube_objects import Kubectl, workload
from tests.waiting import PATIENCE, PATIENCE_SECONDS

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("with_node")]

ALLOCATE = "rows = [bytearray(b'x' * 2**20) for _ in range(512)]"
Deploy = Callable[..., Target]


@pytest.fixture
def deploy(kubectl: Kubectl, namespace: str) -> Deploy:
    """Deployments whose pods run, or are to."""

    def apply(image: str, *args: str, replicas: int = 1, **more: Any) -> Target:
        container = {"name": "consumer", "image": image, "args": args, "imagePullPolicy": "IfNotPresent", **more}
        labels = {"app": "orders"}
        pod = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0, "containers": [container]}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod}}
        manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "orders"}, "spec": spec}
        kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))
        return Target("apps/v1", "Deployment", namespace, "orders")

    return apply


async def told(api: ApiClient, target: Target, *words: str) -> str:
    """The first phrase that has all the words; an AssertionError with the last one when the time is over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    phrase = await Pods(api).trouble(target)
    while not all(word in phrase for word in words):
        assert time.monotonic() < deadline, f"never seen: {words}, last: {phrase!r}"
        await asyncio.sleep(0.5)
        phrase = await Pods(api).trouble(target)
    return phrase


async def test_an_image_that_does_not_exist_is_named(api: ApiClient, deploy: Deploy) -> None:
    target = deploy("localhost/there-is-none:1", replicas=2)

    phrase = await told(api, target, "2 of 2 pods", "ImagePull")

    assert phrase in {f"2 of 2 pods in {reason} (localhost/there-is-none:1)"
                      for reason in ("ErrImagePull", "ImagePullBackOff")}


async def test_a_consumer_that_exits_is_told_with_its_exit_code(
    api: ApiClient, deploy: Deploy, example_image: str
) -> None:
    target = deploy(example_image, "-c", "import time; time.sleep(2); raise SystemExit(3)")

    phrases = [await told(api, target, "exit code 3"), await told(api, target, "restarted", "exit code 3")]

    seen = ("with a container that ended", "in CrashLoopBackOff", "restarted within 10 min")
    assert set(phrases) <= {f"1 of 1 pod {words} (exit code 3)" for words in seen}


async def test_a_consumer_that_outgrows_its_memory_is_told_as_killed(
    api: ApiClient, deploy: Deploy, example_image: str
) -> None:
    limits = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}}
    target = deploy(example_image, "-c", ALLOCATE, resources=limits)

    assert (await told(api, target, "OOMKilled")).startswith("1 of 1 pod ")


async def test_pods_that_fit_nowhere_are_told_in_the_schedulers_words(
    api: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=workload("StatefulSet", "orders", 1, serviceName="orders"))
    target = Target("apps/v1", "StatefulSet", namespace, "orders")

    phrase = await told(api, target, "unschedulable")

    assert phrase.startswith("1 of 1 pod unschedulable (0/")
    assert "nodes are available: " in phrase
    assert "preemption" not in phrase


async def test_a_config_map_that_does_not_exist_is_named(
    api: ApiClient, deploy: Deploy, example_image: str
) -> None:
    target = deploy(example_image, envFrom=[{"configMapRef": {"name": "there-is-none"}}])

    phrase = await told(api, target, "CreateContainerConfigError")

    assert phrase == '1 of 1 pod in CreateContainerConfigError (configmap "there-is-none" not found)'


async def test_healthy_pods_and_none_at_all_are_no_trouble(
    api: ApiClient, kubectl: Kubectl, deploy: Deploy, example_image: str
) -> None:
    target = deploy(example_image, "-c", "import time; time.sleep(600)", replicas=2)
    kubectl("rollout", "status", "deployment/orders", "-n", target.namespace, PATIENCE)
    assert await Pods(api).trouble(target) == ""
    start = await Pods(api).start_seconds(target)
    assert start is not None
    assert 0 <= start <= PATIENCE_SECONDS

    kubectl("scale", "deployment/orders", "-n", target.namespace, "--replicas=0")
    assert await Pods(api).trouble(target) == ""


async def test_the_pods_of_another_workload_in_the_namespace_are_not_counted(
    api: ApiClient, kubectl: Kubectl, deploy: Deploy, namespace: str
) -> None:
    sick = deploy("localhost/there-is-none:1")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=workload("Deployment", "payments", 0))
    await told(api, sick, "ImagePull")

    assert await Pods(api).trouble(Target("apps/v1", "Deployment", namespace, "payments")) == ""


async def test_who_may_not_list_pods_sees_no_trouble(
    api: ApiClient, api_of_nobody: ApiClient, kubectl: Kubectl, deploy: Deploy, namespace: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = deploy("localhost/there-is-none:1")
    await told(api, target, "ImagePull")
    scales = ("--verb=get", "--resource=deployments.apps/scale")
    kubectl("create", "role", "scales", "-n", namespace, *scales)
    kubectl("create", "rolebinding", "scales", "-n", namespace, "--role=scales", "--user=nobody")

    async with asyncio.timeout(PATIENCE_SECONDS):
        while "lacks list on pods" not in caplog.text:
            assert await Pods(api_of_nobody).trouble(target) == ""
            await asyncio.sleep(0.5)
