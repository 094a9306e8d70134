"""The operator as users install it, once for all cluster tests, and a workload for each test."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import pytest

from tests.cluster.workload import ROOT, Client, Workload
from tests.environment import Environment
from tests.waiting import PATIENCE, eventually

OPERATOR_NAMESPACE = "kafka-consumer-scaler"
RELEASE = "kcs"
LEASE = "kcs-kafka-consumer-scaler"
LABEL = "app.kubernetes.io/instance=kcs"
LOOKS = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8080/debug/scalers/{}/orders/snapshots").read().decode(), end="")
"""


@pytest.fixture(scope="session")
def operator(custom_resource_definition: None, helm: Client, kubectl: Client, operator_image: str) -> Iterator[str]:
    """The namespace of an operator that watches the whole cluster, installed by the chart."""
    repository, _, tag = operator_image.rpartition(":")
    values = f"image.repository={repository},image.tag={tag},crd.install=false,debug.recordSnapshots=1000"
    helm("uninstall", RELEASE, "-n", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait", check=False)
    helm(
        "install", RELEASE, str(ROOT / "charts" / "kafka-consumer-scaler"), "-n", OPERATOR_NAMESPACE,
        "--create-namespace", "--set", values, "--wait",
    )
    yield OPERATOR_NAMESPACE
    helm("uninstall", RELEASE, "-n", OPERATOR_NAMESPACE, "--wait")


@pytest.fixture(scope="session")
def recording(operator: str, kubectl: Client) -> Callable[[str], str]:
    """Answers the samples of a namespace's `orders` that the installed operator has recorded."""
    return lambda namespace: run_in_operator(kubectl, operator, LOOKS.format(namespace))


@pytest.fixture
def workload(
    environment: Environment, operator: str, kubectl: Client, namespace: str, example_image: str
) -> Iterator[Workload]:
    """Names for the pieces of one story; the resource, the consumers and the topic are taken away afterwards."""
    story = Workload(environment, kubectl, namespace, example_image)
    yield story
    kubectl("delete", "kcs", "--all", "-n", namespace, PATIENCE)
    kubectl("delete", "deployment", "--all", "-n", namespace, PATIENCE)


@pytest.fixture(scope="module")
def no_installed_operator(kubectl: Client) -> Iterator[None]:
    """Operators of the module's own are the only ones: one that serves all namespaces would scale their targets too."""
    where = ("-n", OPERATOR_NAMESPACE, "-l", LABEL)
    replicas = kubectl("get", "deployment", *where, "-o", "jsonpath={.items[*].spec.replicas}", check=False).stdout
    if not replicas:
        yield
        return
    kubectl("scale", "deployment", *where, "--replicas=0")
    kubectl("wait", "pod", *where, "--for=delete", PATIENCE)
    yield
    kubectl("scale", "deployment", *where, f"--replicas={replicas}")
    kubectl("rollout", "status", "deployment", *where, PATIENCE)


@pytest.fixture
def in_operator(operator: str, kubectl: Client) -> Callable[[str], str]:
    """Runs Python in the operator's pod and answers what it prints."""
    return lambda code: run_in_operator(kubectl, operator, code)


def run_in_operator(kubectl: Client, operator: str, code: str) -> str:
    """What the code prints, in the pod that leads."""
    pod = eventually(lambda: leading_pod(kubectl, operator), what="a leader")
    return kubectl("exec", "-n", operator, pod, "--", "python", "-c", code).stdout


def leading_pod(kubectl: Client, operator: str) -> str:
    """The pod whose process holds the lease: its name is the first part of the identity. Empty while nobody does."""
    words = ("get", "lease", LEASE, "-n", operator, "-o", "jsonpath={.spec.holderIdentity}")
    return kubectl(*words, check=False).stdout.partition("_")[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed story shows the operator's last words."""
    report = yield
    if report.failed and "workload" in item.fixturenames and "kubectl" in item.funcargs:
        words = ("logs", "-n", OPERATOR_NAMESPACE, "-l", LABEL, "--tail=25")
        kubectl: Client = item.funcargs["kubectl"]  # type: ignore[assignment]
        report.sections.append(("operator", kubectl(*words, check=False).stdout))
    return report
