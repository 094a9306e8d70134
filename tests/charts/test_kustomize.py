"""The kustomize base installs the same as the chart."""

from __future__ import annotations

import os
from copy import deepcopy
from pathlib import Path

import pytest

from tests.charts.rendering import (
    DEPLOY,
    Manifest,
    kustomize,
    of_kind,
    one,
    operator_rules,
    project_version,
    template,
)

OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources: [{base}]
images: [{{name: kafka-consumer-scaler, newName: registry.example/kcs, newTag: "7"}}]
"""


@pytest.fixture(scope="module")
def chart(helm_binary: Path) -> list[Manifest]:
    return template(helm_binary)


@pytest.fixture(scope="module")
def base(kubectl_binary: Path) -> list[Manifest]:
    return kustomize(kubectl_binary, DEPLOY)


def test_both_grant_the_operator_the_same_rights(chart: list[Manifest], base: list[Manifest]) -> None:
    assert operator_rules(base) == operator_rules(chart)
    assert operator_rules(base) != []


@pytest.mark.parametrize("role", ["view", "edit"])
def test_both_grant_users_the_same_rights(chart: list[Manifest], base: list[Manifest], role: str) -> None:
    assert user_role(base, role) == user_role(chart, role)


def test_both_run_the_same_pod(chart: list[Manifest], base: list[Manifest]) -> None:
    ours, theirs = (one(manifests, "Deployment")["spec"] for manifests in (base, chart))
    assert pod(ours) == pod(theirs)
    assert (ours["replicas"], ours["strategy"]) == (theirs["replicas"], theirs["strategy"])


def test_both_install_the_same_definitions(chart: list[Manifest], base: list[Manifest]) -> None:
    ours, theirs = (
        {each["metadata"]["name"]: each["spec"] for each in of_kind(manifests, "CustomResourceDefinition")}
        for manifests in (base, chart)
    )
    assert ours == theirs
    assert len(ours) == 3


def test_both_keep_one_operator_from_eviction(chart: list[Manifest], base: list[Manifest]) -> None:
    for manifests in (chart, base):
        budget, deployment = one(manifests, "PodDisruptionBudget")["spec"], one(manifests, "Deployment")["spec"]
        assert budget == {"maxUnavailable": 1, "selector": deployment["selector"]}


def test_both_offer_the_same_port(chart: list[Manifest], base: list[Manifest]) -> None:
    assert one(base, "Service")["spec"]["ports"] == one(chart, "Service")["spec"]["ports"]


def test_the_base_selects_its_own_pod(base: list[Manifest]) -> None:
    labels = one(base, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert one(base, "Service")["spec"]["selector"].items() <= labels
    assert one(base, "Deployment")["spec"]["selector"]["matchLabels"].items() <= labels


def test_the_base_runs_in_a_namespace_that_enforces_the_restricted_standard(base: list[Manifest]) -> None:
    namespace = one(base, "Namespace")["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert one(base, "Deployment")["metadata"]["namespace"] == namespace["name"]


def test_the_base_takes_the_version_of_the_project(base: list[Manifest]) -> None:
    assert image(base) == f"kafka-consumer-scaler:{project_version()}"


def test_the_sample_is_not_installed_with_the_base(base: list[Manifest]) -> None:
    assert of_kind(base, "KafkaConsumerScaler") == []


def test_an_overlay_can_replace_the_image_and_move_everything_to_another_namespace(
    kubectl_binary: Path, tmp_path: Path
) -> None:
    base = os.path.relpath(DEPLOY, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(OVERLAY.format(base=base, namespace="tools"))
    moved = kustomize(kubectl_binary, tmp_path)
    assert image(moved) == "registry.example/kcs:7"
    assert one(moved, "Namespace")["metadata"]["name"] == "tools"
    assert {one(moved, kind)["metadata"]["namespace"] for kind in ("Deployment", "Service", "ServiceAccount")} == {
        "tools"
    }
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert one(moved, kind)["subjects"][0]["namespace"] == "tools"
    assert one(moved, "Role")["metadata"]["namespace"] == "tools"


def pod(deployment: Manifest) -> Manifest:
    """What is run; its spread is about the Deployment's own pods."""
    spec = deepcopy(deployment["template"]["spec"])
    (spread,) = spec["topologySpreadConstraints"]
    assert spread.pop("labelSelector") == deployment["selector"]
    return dict(spec)


def image(manifests: list[Manifest]) -> str:
    (only,) = one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    return str(only["image"])


def user_role(manifests: list[Manifest], role: str) -> tuple[dict[str, str], list[Manifest]]:
    """The aggregation labels and the rules of the role for users."""
    (found,) = (m for m in of_kind(manifests, "ClusterRole") if m["metadata"]["name"].endswith(f":{role}"))
    labels = {name: value for name, value in found["metadata"]["labels"].items() if "aggregate" in name}
    assert labels != {}
    return labels, found["rules"]
