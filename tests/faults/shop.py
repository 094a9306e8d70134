"""The groups that are scaled: how they are loaded, what is right for them, and their manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from tests.environment.model import REPOSITORY
from tests.faults.api import Api, patiently
from tests.faults.layout import NAMESPACE, OPERATOR_GROUP, OPERATOR_NAMESPACE, PROXIED_SERVERS

CONSUMER_CAPACITY = 20.0
"""Records/s that one consumer is built to do."""
POLLING_SECONDS = 2
LAG_SECONDS = 30
UP_COOLDOWN_SECONDS, DOWN_COOLDOWN_SECONDS, DOWN_WINDOW_SECONDS = 4, 8, 8
SCALERS = "/apis/kafka-consumer-scaler.dev/v1alpha1/namespaces/shop/kafkaconsumerscalers"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kafka-consumer-scaler"
LEASING = "quota-leases"
LEASE_ROLE = "/apis/rbac.authorization.k8s.io/v1/namespaces/kafka-consumer-scaler"


@dataclass(frozen=True)
class Group:
    """One topic, its consumers and their scaler, all of one name.

    Args:
        partitions: of the topic.
        least: minReplicas.
        most: maxReplicas.
        levels: (records/s, replicas that are right for them): the fewest whose most loaded consumer keeps up.
    """

    name: str
    partitions: int
    least: int
    most: int
    levels: tuple[tuple[float, int], ...]

    @property
    def ceiling(self) -> int:
        """The most replicas that are ever of use."""
        return max(self.least, min(self.most, self.partitions))


# 6 partitions over n consumers: the most loaded one has ceil(6 / n). 48 records/s, 8 in each: 24 over 20 with two
# replicas, 16 with three. No other number than 1, 2, 3 and 6 is of any use. 12 partitions at 70: 23.3 with three,
# 17.5 with four. Every step down is by half, since smaller ones wait for minutes by rule. One fewer lacks a sixth at
# least: who lacks a twentieth is 6 s behind after two minutes, which is well within the objective, and no fault.
GROUPS = (
    Group("orders", 6, 1, 10, ((12.0, 1), (48.0, 3), (84.0, 6))),
    Group("payments", 12, 2, 4, ((28.0, 2), (70.0, 4))),
)
GHOST = "ghost"
"""A scaler of the group `payments` with a target of its own; it is deleted while nobody can see it."""


def scaler(name: str, group: Group) -> dict[str, Any]:
    """The manifest of a scaler that decides fast."""
    return {
        "apiVersion": "kafka-consumer-scaler.dev/v1alpha1", "kind": "KafkaConsumerScaler",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"name": name}, "kafka": {"bootstrapServers": PROXIED_SERVERS},
            "consumerGroup": group.name, "topics": [group.name], "offsetReset": "earliest",
            "minReplicas": group.least, "maxReplicas": group.most, "target": {"lagSeconds": LAG_SECONDS},
            "recoverySeconds": 60, "pollingIntervalSeconds": POLLING_SECONDS,
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0, "cooldownSeconds": UP_COOLDOWN_SECONDS},
                "scaleDown": {"stabilizationWindowSeconds": DOWN_WINDOW_SECONDS,
                              "cooldownSeconds": DOWN_COOLDOWN_SECONDS},
            },
        },
    }  # fmt: skip


def deployment(name: str, replicas: int) -> dict[str, Any]:
    """A Deployment whose pods are played by the harness."""
    labels = {"app": name}
    pod = {"containers": [{"name": "consumer", "image": "consumer"}]}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def make_cluster(api: Api) -> None:
    """The definitions, the namespaces, and the operators' role as deploy/ has it, bound to their certificates."""
    for document in _documents("crd.yaml"):
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + document["metadata"]["name"]
        api.ensure(path, document)
    for name in (NAMESPACE, OPERATOR_NAMESPACE):
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        api.ensure(f"/api/v1/namespaces/{name}", manifest)
    for document in _documents("rbac.yaml"):
        if document["kind"] == "ClusterRole":
            path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/" + document["metadata"]["name"]
            api.ensure(path, document)
    bind(api)
    _let_elect(api)
    patiently(lambda: api.call("GET", SCALERS), "the definition served")


def bind(api: Api) -> None:
    """Give the operators their role."""
    _bind(api, BINDING, "ClusterRoleBinding", {"kind": "ClusterRole", "name": "kafka-consumer-scaler"})


def _bind(api: Api, path: str, kind: str, role: dict[str, str]) -> None:
    group = "rbac.authorization.k8s.io"
    manifest = {
        "apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": path.rpartition("/")[2]},
        "roleRef": {"apiGroup": group, **role},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": OPERATOR_GROUP}],
    }
    api.ensure(path, manifest)


def _let_elect(api: Api) -> None:
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
              "verbs": ["get", "create", "update", "patch"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "election"},
            "rules": rules}
    api.ensure(f"{LEASE_ROLE}/roles/election", role)
    _bind(api, f"{LEASE_ROLE}/rolebindings/election", "RoleBinding", {"kind": "Role", "name": "election"})


def let_lease(api: Api) -> None:
    """Give the operators the right that only quotas of producers need: to put their finalizer on a resource."""
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["kafka-consumer-scaler.dev"], "resources": ["kafkaconsumerscalers"], "verbs": ["patch"]}]
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": LEASING}, "rules": rules}
    api.ensure(f"/apis/{group}/v1/clusterroles/{LEASING}", role)
    path = f"/apis/{group}/v1/clusterrolebindings/{LEASING}"
    _bind(api, path, "ClusterRoleBinding", {"kind": "ClusterRole", "name": LEASING})


def _documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((REPOSITORY / "deploy" / name).read_text()) if one]


def make(api: Api, name: str, group: Group, replicas: int) -> str:
    """A fresh scaler, and its Deployment with so many replicas; answers the scaler's uid."""
    api.ensure(f"{DEPLOYMENTS}/{name}", deployment(name, replicas))
    made = api.ensure(f"{SCALERS}/{name}", scaler(name, group))
    return str(made["metadata"]["uid"])


def remove(api: Api, name: str) -> None:
    """Take the scaler away; its Deployment stays."""
    api.delete(f"{SCALERS}/{name}")


def look(api: Api) -> dict[str, dict[str, Any]]:
    """All scalers by name. Raises OSError or Refused."""
    return {one["metadata"]["name"]: one for one in api.call("GET", SCALERS)["items"]}
