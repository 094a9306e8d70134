"""Installing, upgrading and uninstalling in a real cluster, as docs/install.md says.

The definition is cluster-wide and shared with other tests: releases here take it over and give it back as it was.
Operators here watch their own namespace only, so that they keep off the resources of other tests.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.charts.rendering import DEPLOY, REPOSITORY
from tests.environment import Environment
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.cluster

Client = Callable[..., subprocess.CompletedProcess[str]]

CHART = str(REPOSITORY / "charts" / "kafka-consumer-scaler")
OWNER = "kafka-consumer-scaler.dev"
DEFINITION = f"kafkaconsumerscalers.{OWNER}"
DEFINITIONS = (DEFINITION, f"kafkaconnections.{OWNER}", f"clusterkafkaconnections.{OWNER}")
OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources: [{base}]
images: [{{name: kafka-consumer-scaler, newName: {name}, newTag: {tag}}}]
patches:
  - target: {{kind: Deployment}}
    patch: '[{{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--namespace={namespace}"}}]'
  - target: {{kind: Namespace}}
    patch: '{{apiVersion: v1, kind: Namespace, metadata: {{name: kafka-consumer-scaler}}, $patch: delete}}'
"""
SCALER = """
apiVersion: kafka-consumer-scaler.dev/v1alpha1
kind: KafkaConsumerScaler
metadata: {name: orders}
spec:
  scaleTargetRef: {name: orders-consumer}
  kafka: {bootstrapServers: "127.0.0.1:1"}
  consumerGroup: orders
  maxReplicas: 12
  pollingIntervalSeconds: 5
"""


@pytest.fixture
def definition(kubectl: Client) -> Iterator[None]:
    """Afterwards each definition has the owner it had before, or is gone if there was none."""
    before = {name: kubectl("get", "crd", name, "-o", "json", check=False) for name in DEFINITIONS}
    yield
    for name, found in before.items():
        if found.returncode != 0:
            kubectl("delete", "crd", name, "--ignore-not-found")
            continue
        metadata = json.loads(found.stdout)["metadata"]
        patch = [{"op": "add", "path": f"/metadata/{k}", "value": metadata.get(k, {})}
                 for k in ("labels", "annotations")]  # fmt: skip
        kubectl("patch", "crd", name, "--type=json", f"--patch={json.dumps(patch)}")


@pytest.fixture
def restricted(kubectl: Client, namespace: str) -> str:
    """A namespace in which the API server refuses pods that the restricted Pod Security Standard forbids."""
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    return namespace


@pytest.fixture
def install(helm: Client, definition: None, operator_image: str, restricted: str) -> Iterator[Callable[..., str]]:
    """Installs a release with more arguments of `helm install`, answers its name, and uninstalls it at the end."""
    installed = []

    def install(*arguments: str, name: str = f"kcs-{restricted}"[:53]) -> str:
        installed.append(name)
        image = image_values(operator_image)
        helm(
            "install",
            name,
            CHART,
            "--namespace",
            restricted,
            "--take-ownership",
            "--force-conflicts",
            *image,
            *arguments,
        )
        return name

    yield install
    for name in installed:
        helm("uninstall", name, "--namespace", restricted, "--ignore-not-found", "--wait")


@pytest.fixture
def release(install: Callable[..., str], kubectl: Client, restricted: str) -> str:
    """A release that serves its own namespace, and whose operator is ready."""
    name = install(f"--set=watchNamespaces={{{restricted}}}")
    rolled_out(kubectl, restricted)
    return name


def test_a_release_becomes_ready_in_a_restricted_namespace_and_passes_its_test(
    helm: Client, release: str, restricted: str
) -> None:
    tested = helm("test", release, "--namespace", restricted, "--timeout=180s", "--logs")
    assert "Phase:          Succeeded" in tested.stdout
    assert "/readyz 200" in tested.stdout


def test_the_operator_runs_without_root_and_cannot_write_to_its_image(
    kubectl: Client, release: str, restricted: str
) -> None:
    inside = ("exec", "--namespace", restricted, min(pods(kubectl, restricted)), "--")
    assert kubectl(*inside, "id", "-u").stdout.strip() == "65532"
    assert kubectl(*inside, "touch", "/tmp/allowed", check=False).returncode == 0
    assert "Read-only file system" in kubectl(*inside, "touch", "/opt/refused", check=False).stderr


def test_an_upgrade_replaces_both_operators_by_ones_with_the_new_value(
    helm: Client, kubectl: Client, with_node: Environment, release: str, restricted: str
) -> None:
    """SIGTERM ends the old ones in order, and not SIGKILL 30 s later: the log has their last word."""
    old = pods(kubectl, restricted)
    words = ["logs", "--follow", "--namespace", restricted, min(old)]
    log = subprocess.Popen([with_node.kubectl, "--kubeconfig", with_node.kubeconfig, *words], stdout=subprocess.PIPE)
    helm("upgrade", release, CHART, "--namespace", restricted, "--reuse-values", "--set=logLevel=debug")
    rolled_out(kubectl, restricted)
    new = eventually(lambda: (now := pods(kubectl, restricted)).isdisjoint(old) and now, what="the old ones are gone")
    assert len(new) == len(old) == 2
    for each in new:
        made = json.loads(kubectl("get", "--namespace", restricted, each, "-o", "json").stdout)
        assert "--log-level=debug" in made["spec"]["containers"][0]["args"]
    assert b'"message": "stopped"' in log.communicate(timeout=PATIENCE_SECONDS)[0].splitlines()[-1]


def test_resources_left_behind_by_an_uninstall_stay_and_can_be_deleted(
    helm: Client, kubectl: Client, release: str, restricted: str
) -> None:
    kubectl("apply", "--namespace", restricted, "-f", "-", stdin=SCALER)
    eventually(lambda: "status" in scaler(kubectl, restricted), what="the operator served the resource")
    helm("uninstall", release, "--namespace", restricted, "--wait")
    assert kubectl("get", "crd", DEFINITION, check=False).returncode == 0
    assert scaler(kubectl, restricted)["metadata"].get("finalizers", []) == []
    kubectl("delete", "kcs", "orders", "--namespace", restricted, "--timeout=60s")
    assert kubectl("get", "kcs", "orders", "--namespace", restricted, check=False).returncode == 1


def test_a_kept_definition_is_taken_over_only_by_a_release_that_is_told_to(
    helm: Client, kubectl: Client, install: Callable[..., str], restricted: str
) -> None:
    idle = ("--set=replicaCount=0", f"--set=watchNamespaces={{{restricted}}}")
    first = install(*idle)
    helm("uninstall", first, "--namespace", restricted)
    untold = helm("install", f"{first}-b", CHART, "--namespace", restricted, *idle, check=False)
    assert "cannot be imported into the current release" in untold.stderr
    assert owner(kubectl) == first
    assert owner(kubectl) != install(*idle, name=f"{first}-c") == owner(kubectl)


def test_a_release_of_the_same_name_finds_its_kept_definition(
    helm: Client, install: Callable[..., str], restricted: str
) -> None:
    name = install("--set=replicaCount=0")
    helm("uninstall", name, "--namespace", restricted)
    again = helm("install", name, CHART, "--namespace", restricted, "--set=replicaCount=0")
    assert "STATUS: deployed" in again.stdout


def test_the_kustomize_base_becomes_ready(
    kubectl: Client, definition: None, operator_image: str, restricted: str, tmp_path: Path
) -> None:
    name, _, tag = operator_image.rpartition(":")
    base = os.path.relpath(DEPLOY, tmp_path.resolve())
    overlay = OVERLAY.format(namespace=restricted, base=base, name=name, tag=tag)
    (tmp_path / "kustomization.yaml").write_text(overlay)
    try:
        kubectl("apply", "-k", str(tmp_path))
        rolled_out(kubectl, restricted)
        assert len(pods(kubectl, restricted)) == 2
    finally:
        roles = "clusterrole,clusterrolebinding"
        kubectl("delete", roles, "--selector", "app.kubernetes.io/name=kafka-consumer-scaler,!helm.sh/chart")


NEEDED = ["list kcs", "watch kcs", f"patch kafkaconsumerscalers.{OWNER}/status", "get deployments.apps/scale",
          "patch deployments.apps/scale", "patch statefulsets.apps/scale", "create events.events.k8s.io",
          "patch events.events.k8s.io", "list horizontalpodautoscalers.autoscaling", "list pods",
          f"get kafkaconnections.{OWNER}"]  # fmt: skip
FORBIDDEN = ["get secrets", "list secrets", "get pods", "watch pods", "delete pods", "get pods/log",
             "create pods/exec", "get configmaps",
             "get deployments.apps", "patch deployments.apps", "update deployments.apps/scale",
             "delete deployments.apps", "patch replicasets.apps/scale", "patch kcs", "delete kcs",
             f"list kafkaconnections.{OWNER}", f"patch kafkaconnections.{OWNER}",
             "patch horizontalpodautoscalers.autoscaling", "create serviceaccounts/token", "list events",
             "create roles.rbac.authorization.k8s.io"]  # fmt: skip
FORBIDDEN_IN_CLUSTER = ["list namespaces", "get nodes", "list customresourcedefinitions.apiextensions.k8s.io",
                        "create clusterrolebindings.rbac.authorization.k8s.io"]  # fmt: skip
SHARED = f"get clusterkafkaconnections.{OWNER}"


def test_a_cluster_wide_operator_may_do_what_it_needs_and_nothing_more(
    kubectl: Client, install: Callable[..., str], restricted: str
) -> None:
    account = f"{restricted}:{install('--set=replicaCount=0')}-kafka-consumer-scaler"
    anywhere = ("--namespace", "default")
    eventually(lambda: granted(kubectl, account, NEEDED[:1], *anywhere), what="the API server knows the new role")
    assert granted(kubectl, account, [*NEEDED, *FORBIDDEN], *anywhere) == NEEDED
    assert granted(kubectl, account, [*FORBIDDEN_IN_CLUSTER, SHARED]) == [SHARED]


def test_an_operator_of_one_namespace_may_do_nothing_in_another(
    kubectl: Client, install: Callable[..., str], restricted: str
) -> None:
    name = install("--set=replicaCount=0", f"--set=watchNamespaces={{{restricted}}}")
    account = f"{restricted}:{name}-kafka-consumer-scaler"
    eventually(lambda: granted(kubectl, account, NEEDED[:1], "--namespace", restricted), what="the role is known")
    assert granted(kubectl, account, [*NEEDED, *FORBIDDEN], "--namespace", restricted) == NEEDED
    assert granted(kubectl, account, [*NEEDED, *FORBIDDEN], "--namespace", "default") == []
    assert granted(kubectl, account, [*FORBIDDEN_IN_CLUSTER, SHARED]) == []


def test_secrets_that_are_granted_by_name_are_got_by_name_and_no_others(
    kubectl: Client, install: Callable[..., str], restricted: str
) -> None:
    name = install("--set=replicaCount=0", f"--set=watchNamespaces={{{restricted}}}",
                   f"--set=secretAccess.namespaces={{{restricted}}}", "--set=secretAccess.names={kafka-user}")
    account, here = f"{restricted}:{name}-kafka-consumer-scaler", ("--namespace", restricted)
    asked = ["get secrets/kafka-user", "get secrets/other", "get secrets", "list secrets", "watch secrets"]
    user = f"system:serviceaccount:{account}"

    def may() -> list[str]:
        words = (what.replace("secrets/", "secrets ").split() for what in asked)
        answers = (kubectl("auth", "can-i", verb, "/".join(kind), f"--as={user}", *here, check=False).stdout.strip()
                   for verb, *kind in words)  # fmt: skip
        return [what for what, answer in zip(asked, answers, strict=True) if answer == "yes"]

    eventually(lambda: may() == ["get secrets/kafka-user"], what="one Secret may be got and nothing else")
    assert granted(kubectl, account, ["get secrets", "list secrets"], "--namespace", "default") == []


def test_a_namespaces_editor_may_change_its_resources_and_a_viewer_may_read_them(
    kubectl: Client, install: Callable[..., str], restricted: str
) -> None:
    install("--set=replicaCount=0")
    for role in ("view", "edit"):
        kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}er", "--namespace", restricted)
    asked = ["get kcs", "get kconn", "create kcs", "create kconn", "delete kcs", "delete kconn",
             f"patch kafkaconsumerscalers.{OWNER}/status", "get ckconn", "create ckconn"]  # fmt: skip

    def may(user: str) -> list[str]:
        return [what for what in asked if can_i(kubectl, user, what, "--namespace", restricted)]

    eventually(lambda: may("editer") == asked[:6], what="the edit role was aggregated")
    assert may("viewer") == asked[:2]


def image_values(image: str) -> list[str]:
    repository, _, tag = image.rpartition(":")
    return [f"--set=image.repository={repository}", f"--set-string=image.tag={tag}"]


def rolled_out(kubectl: Client, namespace: str) -> None:
    """Wait until every Deployment of the namespace runs its newest pods, ready."""
    kubectl("rollout", "status", "deployment", "--namespace", namespace, "--timeout=180s")


def pods(kubectl: Client, namespace: str) -> set[str]:
    """The operators' pods that are not on their way out, as `pod/name`."""
    label = "app.kubernetes.io/name=kafka-consumer-scaler"
    listed = kubectl("get", "pods", "--namespace", namespace, "-l", label, "-o", "json").stdout
    found = [item["metadata"] for item in json.loads(listed)["items"]]
    return {f"pod/{each['name']}" for each in found if "deletionTimestamp" not in each}


def scaler(kubectl: Client, namespace: str) -> dict[str, Any]:
    resource: dict[str, Any] = json.loads(kubectl("get", "kcs", "orders", "-n", namespace, "-o", "json").stdout)
    return resource


def owner(kubectl: Client) -> str:
    """The release that owns the definition."""
    path = r"jsonpath={.metadata.annotations.meta\.helm\.sh/release-name}"
    return kubectl("get", "crd", DEFINITION, "-o", path).stdout


def granted(kubectl: Client, account: str, asked: list[str], *where: str) -> list[str]:
    """Those of "verb resource[/subresource]" that the service account ("namespace:name") may do."""
    return [what for what in asked if can_i(kubectl, f"system:serviceaccount:{account}", what, *where)]


def can_i(kubectl: Client, user: str, what: str, *where: str) -> bool:
    verb, resource = what.split()
    resource, _, subresource = resource.partition("/")
    part = [f"--subresource={subresource}"] if subresource else []
    answer = kubectl("auth", "can-i", verb, resource, *part, f"--as={user}", *where, check=False).stdout.strip()
    assert answer in {"yes", "no"}, f"{what}: {answer!r}"
    return answer == "yes"
