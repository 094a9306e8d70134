"""What the chart renders, without a cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from kafka_consumer_scaler.control.allowances import Allowance, Allowances
from tests.charts.rendering import (
    CHART,
    DEPLOY,
    RELEASE,
    Manifest,
    documents,
    of_kind,
    one,
    operator_rules,
    project_version,
    refusal,
    run,
    template,
)

KINDS = ("kafkaconsumerscalers", "kafkaconnections", "clusterkafkaconnections")
CUSTOM_RESOURCE_DEFINITIONS = [f"{kind}.kafka-consumer-scaler.dev" for kind in KINDS]


def test_the_chart_passes_lint(helm_binary: Path) -> None:
    done = run(helm_binary, "lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (project_version(), project_version())


def test_all_namespaces_need_one_cluster_role(helm_binary: Path) -> None:
    manifests = template(helm_binary)
    assert one(manifests, "ClusterRoleBinding")["subjects"] == [
        {"kind": "ServiceAccount", "name": RELEASE, "namespace": RELEASE}
    ]
    assert [role["metadata"]["name"] for role in of_kind(manifests, "Role")] == [f"{RELEASE}:{RELEASE}:election"]


def test_chosen_namespaces_need_no_cluster_wide_right(helm_binary: Path) -> None:
    manifests = template(
        helm_binary, "--set=watchNamespaces={shop,billing}", "--set=rbac.aggregateToDefaultRoles=false"
    )
    assert of_kind(manifests, "ClusterRole") + of_kind(manifests, "ClusterRoleBinding") == []
    for kind in ("Role", "RoleBinding"):
        found = [made["metadata"]["namespace"] for made in of_kind(manifests, kind)]
        assert found == [RELEASE, "shop", "billing"], "the first is about the election"
    assert container(manifests)["args"][-2:] == ["--namespace=shop", "--namespace=billing"]


def test_the_operator_may_touch_only_scales_events_and_its_own_status(helm_binary: Path) -> None:
    changed = {
        resource
        for rule in operator_rules(template(helm_binary))
        for resource in rule["resources"]
        if set(rule["verbs"]) - {"get", "list", "watch"}
    }
    assert changed == {"kafkaconsumerscalers/status", "deployments/scale", "statefulsets/scale", "events", "leases"}


def test_the_operator_may_read_only_its_resources_scales_autoscalers_and_pods(helm_binary: Path) -> None:
    rules = operator_rules(template(helm_binary))
    read = {r for rule in rules for r in rule["resources"] if set(rule["verbs"]) & {"get", "list", "watch"}}
    scales = {"deployments/scale", "statefulsets/scale"}
    assert read == {*KINDS, *scales, "horizontalpodautoscalers", "pods", "leases"}


def secret_rules(manifests: list[Manifest]) -> list[tuple[str, Manifest]]:
    """The namespace (empty for all) and the rule of each right on Secrets."""
    roles = of_kind(manifests, "ClusterRole") + of_kind(manifests, "Role")
    return [(role["metadata"].get("namespace", ""), rule) for role in roles for rule in role["rules"]
            if "secrets" in rule["resources"] or "*" in rule["resources"]]


def test_no_secret_is_granted_unless_asked_for(helm_binary: Path) -> None:
    assert secret_rules(template(helm_binary)) == []


def test_secrets_are_granted_in_chosen_namespaces_to_get_and_nothing_else(helm_binary: Path) -> None:
    manifests = template(helm_binary, "--set=secretAccess.namespaces={shop,billing}")
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    assert secret_rules(manifests) == [("shop", rule), ("billing", rule)]
    bound = [(each["metadata"]["namespace"], each["subjects"][0]["name"]) for each in of_kind(manifests, "RoleBinding")
             if each["roleRef"]["name"].endswith(":secrets")]
    assert bound == [("shop", RELEASE), ("billing", RELEASE)]


def test_secrets_can_be_granted_by_name(helm_binary: Path) -> None:
    values = ("--set=secretAccess.namespaces={shop}", "--set=secretAccess.names={kafka-user,kafka-ca}")
    ((_, rule),) = secret_rules(template(helm_binary, *values))
    assert rule["resourceNames"] == ["kafka-user", "kafka-ca"]


def test_secrets_of_every_namespace_take_an_explicit_word(helm_binary: Path) -> None:
    manifests = template(helm_binary, "--set=secretAccess.cluster=true", "--set=secretAccess.namespaces={shop}")
    assert secret_rules(manifests) == [("", {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]})]


def test_chosen_namespaces_and_secrets_of_the_whole_cluster_exclude_each_other(helm_binary: Path) -> None:
    complaint = refusal(helm_binary, "--set=watchNamespaces={shop}", "--set=secretAccess.cluster=true")
    assert "secretAccess.cluster is a cluster-wide right, which watchNamespaces excludes" in complaint


def test_secrets_and_chosen_namespaces_still_need_no_cluster_wide_right(helm_binary: Path) -> None:
    manifests = template(helm_binary, "--set=watchNamespaces={shop}", "--set=secretAccess.namespaces={shop}",
                         "--set=rbac.aggregateToDefaultRoles=false")
    assert of_kind(manifests, "ClusterRole") + of_kind(manifests, "ClusterRoleBinding") == []
    assert "clusterkafkaconnections" not in {r for rule in operator_rules(manifests) for r in rule["resources"]}


def test_cluster_connections_with_chosen_namespaces_are_the_only_cluster_wide_right(helm_binary: Path) -> None:
    manifests = template(helm_binary, "--set=watchNamespaces={shop}", "--set=rbac.clusterConnections=true",
                         "--set=rbac.aggregateToDefaultRoles=false")
    assert one(manifests, "ClusterRole")["rules"] == [
        {"apiGroups": ["kafka-consumer-scaler.dev"], "resources": ["clusterkafkaconnections"], "verbs": ["get"]}
    ]
    assert one(manifests, "ClusterRoleBinding")["subjects"][0]["name"] == RELEASE


def test_users_of_a_namespace_get_no_right_on_a_clusters_connections(helm_binary: Path) -> None:
    roles = [role for role in of_kind(template(helm_binary), "ClusterRole")
             if any("aggregate" in label for label in role["metadata"]["labels"])]
    assert len(roles) == 2
    assert {r for role in roles for rule in role["rules"] for r in rule["resources"]} == {
        "kafkaconsumerscalers", "kafkaconsumerscalers/status", "kafkaconnections"
    }


def test_the_rules_of_tenancy_reach_the_operator(helm_binary: Path) -> None:
    manifests = template(helm_binary, "--set=allowedBrokers={*.kafka.shop:9093,10.0.0.0/8}", "--set=allowAwsIam=true",
                         "--set=allowedIdentityProviders={login.example.com}", "--set=connectionsPerNamespace=5")
    told = {each["name"]: each.get("value") for each in container(manifests)["env"]}
    assert {name: value for name, value in told.items() if name.startswith("KCS_")} == {
        "KCS_ALLOWED_BROKERS": "*.kafka.shop:9093,10.0.0.0/8",
        "KCS_ALLOWED_IDENTITY_PROVIDERS": "login.example.com",
        "KCS_CONNECTIONS_PER_NAMESPACE": "5",
        "KCS_ALLOW_AWS_IAM": "true",
    }


def test_no_quota_of_producers_may_be_set_unless_the_values_say_so(helm_binary: Path) -> None:
    manifests = template(helm_binary, '--set-json=producerQuotas.allowed=[{"namespaces":["*"],"clientIds":["*"]}]')
    assert "KCS_PRODUCER_QUOTAS" not in {each["name"] for each in container(manifests)["env"]}
    assert scaler_verbs(manifests) == {"get", "list", "watch"}


def test_quotas_of_producers_take_a_list_and_the_right_to_patch_resources(helm_binary: Path) -> None:
    allowed = [{"namespaces": ["shop"], "clientIds": ["orders-*"]}]
    values = f"--set-json=producerQuotas={json.dumps({'enabled': True, 'allowed': allowed})}"
    for where in ([], ["--set=watchNamespaces={shop}"]):
        manifests = template(helm_binary, values, *where)
        told = {each["name"]: each.get("value") for each in container(manifests)["env"]}
        assert Allowances.parse(told["KCS_PRODUCER_QUOTAS"] or "") == Allowances(
            (Allowance(("shop",), ("orders-*",)),))
        assert scaler_verbs(manifests) == {"get", "list", "watch", "patch"}


def scaler_verbs(manifests: list[Manifest]) -> set[str]:
    return {verb for rule in operator_rules(manifests) for verb in rule["verbs"]
            if rule["resources"] == ["kafkaconsumerscalers"]}


def test_the_operator_is_told_its_own_namespace(helm_binary: Path) -> None:
    (variable,) = (each for each in container(template(helm_binary))["env"] if each["name"] == "POD_NAMESPACE")
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_of_pods_the_operator_may_do_nothing_but_list_them(helm_binary: Path) -> None:
    (rule,) = (rule for rule in operator_rules(template(helm_binary)) if "pods" in rule["resources"])
    assert rule == {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}


def test_another_kind_of_workload_adds_its_scale_only(helm_binary: Path) -> None:
    added = '--set-json=scaleTargets=[{"apiGroup":"argoproj.io","resource":"rollouts"}]'
    rules = [rule for rule in operator_rules(template(helm_binary, added)) if "argoproj.io" in rule["apiGroups"]]
    assert rules == [{"apiGroups": ["argoproj.io"], "resources": ["rollouts/scale"], "verbs": ["get", "patch"]}]


def test_workloads_are_read_only_where_other_writers_are_to_be_named(helm_binary: Path) -> None:
    rules = operator_rules(template(helm_binary, "--set=nameOtherWriters=true"))
    workloads = [rule for rule in rules if set(rule["resources"]) <= {"deployments", "statefulsets"}]
    assert workloads == [{"apiGroups": ["apps"], "resources": [kind], "verbs": ["get"]}
                         for kind in ("deployments", "statefulsets")]


@pytest.mark.parametrize("kind", ["Deployment", "Pod"])
def test_every_pod_passes_the_restricted_standard(helm_binary: Path, kind: str) -> None:
    manifest = one(template(helm_binary), kind)
    pod = manifest["spec"] if kind == "Pod" else manifest["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert [item["securityContext"] for item in pod["containers"]] == [
        {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    ]


def test_two_operators_elect_their_leader_and_are_replaced_one_by_one(helm_binary: Path) -> None:
    spec = one(template(helm_binary), "Deployment")["spec"]
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}
    assert (spec["replicas"], spec["strategy"]) == (2, rolling)
    assert f"--lease={RELEASE}" in container(template(helm_binary))["args"]


def test_without_an_election_an_upgrade_ends_the_old_operator_before_it_starts_the_new_one(helm_binary: Path) -> None:
    manifests = template(helm_binary, "--set=leaderElection.enabled=false", "--set=replicaCount=1")
    assert one(manifests, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert [word for word in container(manifests)["args"] if "lease" in word] == []
    assert "leases" not in [resource for rule in operator_rules(manifests) for resource in rule["resources"]]


@pytest.mark.parametrize("words", [(), ("--set=leaderElection.leaseName=chosen", "--set=watchNamespaces={shop}")])
def test_of_leases_the_operator_may_make_one_and_change_its_own(helm_binary: Path, words: tuple[str, ...]) -> None:
    rules = [rule for rule in operator_rules(template(helm_binary, *words)) if "leases" in rule["resources"]]
    of_leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    name = "chosen" if words else RELEASE
    its_own = {**of_leases, "resourceNames": [name], "verbs": ["get", "patch"]}
    assert rules == [{**of_leases, "verbs": ["create"]}, its_own]


def test_two_operators_are_not_evicted_at_once_and_one_alone_may_be(helm_binary: Path) -> None:
    budget = one(template(helm_binary), "PodDisruptionBudget")["spec"]
    selected = one(template(helm_binary), "Deployment")["spec"]["selector"]
    assert budget == {"maxUnavailable": 1, "selector": selected}
    for value in ("replicaCount=1", "podDisruptionBudget.enabled=false"):
        assert of_kind(template(helm_binary, f"--set={value}"), "PodDisruptionBudget") == []


def test_operators_are_spread_over_nodes_unless_told_otherwise(helm_binary: Path) -> None:
    spec = one(template(helm_binary), "Deployment")["spec"]
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert spread["labelSelector"] == spec["selector"]
    own = [{"maxSkew": 2, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}]
    chosen = template(helm_binary, "--set-json=topologySpreadConstraints=" + json.dumps(own))
    assert one(chosen, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"] == own


def test_the_definitions_are_kept_at_uninstall_unless_told_otherwise(helm_binary: Path) -> None:
    kept, not_kept = (
        of_kind(template(helm_binary, *a), "CustomResourceDefinition") for a in ([], ["--set=crd.keep=false"])
    )
    assert [each["metadata"]["annotations"] for each in kept] == [{"helm.sh/resource-policy": "keep"}] * len(KINDS)
    assert [each for each in not_kept if "annotations" in each["metadata"]] == []


def test_a_release_can_leave_the_definitions_to_another(helm_binary: Path) -> None:
    assert of_kind(template(helm_binary, "--set=crd.install=false"), "CustomResourceDefinition") == []


def test_releases_of_one_name_in_two_namespaces_do_not_meet(helm_binary: Path) -> None:
    first, second = (cluster_wide(template(helm_binary, namespace=namespace)) for namespace in ("team-a", "team-b"))
    assert first & second == {("CustomResourceDefinition", name) for name in CUSTOM_RESOURCE_DEFINITIONS}


def test_a_long_release_name_makes_names_of_at_most_63_characters(helm_binary: Path) -> None:
    manifests = template(helm_binary, release="r" * 53)
    names = [one(manifests, kind)["metadata"]["name"] for kind in ("Deployment", "Service", "Pod")]
    assert [name for name in names if len(name) > 63 or name.endswith("-")] == []


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_a_monitor_is_made_on_demand_and_selects_the_operator(helm_binary: Path, kind: str) -> None:
    assert of_kind(template(helm_binary), kind) == []
    value = kind[0].lower() + kind[1:]
    monitor = one(template(helm_binary, f"--set={value}.enabled=true", f"--set={value}.labels.team=x"), kind)
    selected = monitor["spec"]["selector"]["matchLabels"]
    assert selected == one(template(helm_binary), "Service")["spec"]["selector"]
    assert monitor["metadata"]["labels"]["team"] == "x"


def test_looks_are_recorded_on_demand_only(helm_binary: Path) -> None:
    plain, recording = (
        container(template(helm_binary, *words)) for words in ([], ["--set=debug.recordSnapshots=10000"])
    )
    added = [variable for variable in recording["env"] if variable not in plain["env"]]
    assert added == [{"name": "KCS_RECORD_SNAPSHOTS", "value": "10000"}]


def test_the_test_pod_asks_the_service_that_the_release_makes(helm_binary: Path) -> None:
    manifests = template(helm_binary, release="blue")
    variable = one(manifests, "Service")["metadata"]["name"].upper().replace("-", "_") + "_SERVICE_HOST"
    assert variable in one(manifests, "Pod")["spec"]["containers"][0]["args"][0]


def test_the_notes_show_the_sample_manifest(helm_binary: Path) -> None:
    done = run(helm_binary, "install", RELEASE, CHART, "--dry-run=client", "--set=watchNamespaces={shop}")
    assert done.returncode == 0, done.stderr
    shown = re.search(r"<<EOF\n(.*?)\n  EOF", done.stdout, re.DOTALL)
    assert shown is not None
    sample = documents((DEPLOY / "sample.yaml").read_text())
    assert documents(re.sub("^  ", "", shown[1], flags=re.MULTILINE)) == sample


def container(manifests: list[Manifest]) -> Manifest:
    (only,) = one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def cluster_wide(manifests: list[Manifest]) -> set[tuple[str, str]]:
    found = ((m["kind"], m["metadata"]["name"]) for m in manifests if "namespace" not in m["metadata"])
    return set(found)
