"""What a real API server says to manifests, good and bad."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from kafka_consumer_scaler.api.crd import DEFINITIONS
from kafka_consumer_scaler.api.memory import memory_from_status
from kafka_consumer_scaler.api.status import explained, safe_rate_as_status, status_of
from kafka_consumer_scaler.api.upstream import Lease, leases_as_status, leases_from_status
from kafka_consumer_scaler.api.v1alpha1 import GROUP, PLURAL, KafkaConsumerScaler
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.safe_rate import SafeRate
from tests.api.manifests import (
    BAD,
    BAD_CONNECTIONS,
    BAD_NAMESPACES,
    BY_TOKEN,
    CLUSTER_CONNECTION,
    CONNECTION,
    FULL_SPEC,
    GOOD_ENDPOINTS,
    GOOD_WAYS,
    OAUTH,
    SMALLEST,
    UNKNOWN_FIELDS,
    Bad,
    with_connection_field,
    with_field,
)
from tests.api.verdicts import MEMORY, NOW, VERDICT
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

CRD = f"{PLURAL}.{GROUP}"
REPOSITORY = Path(__file__).parents[2]


class Kubectl(Protocol):
    def __call__(
        self, *args: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="module", autouse=True)
def served(kubectl: Kubectl, custom_resource_definition: None) -> None:
    """The API server serves the resources a moment after their definitions are established."""
    kinds = ",".join(definition.plural for definition in DEFINITIONS)
    eventually(lambda: kubectl("get", kinds, "--namespace", "default", check=False).returncode == 0, what="served")


def apply(
    kubectl: Kubectl, namespace: str, manifest: dict[str, Any], *options: str
) -> subprocess.CompletedProcess[str]:
    text = json.dumps(manifest)
    return kubectl("apply", "--namespace", namespace, "--filename", "-", *options, stdin=text, check=False)


def stored(kubectl: Kubectl, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", "kcs", "orders", "-n", namespace, "-o", "json").stdout)
    return found


@pytest.mark.parametrize("name", [definition.name for definition in DEFINITIONS])
def test_the_crd_is_established_and_its_schema_is_structural(kubectl: Kubectl, name: str) -> None:
    found = json.loads(kubectl("get", "crd", name, "-o", "json").stdout)
    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert conditions.get("Established") == "True"
    assert "NonStructuralSchema" not in conditions


@pytest.mark.parametrize("copy", ["deploy/crd.yaml"])
def test_the_copy_in_the_repository_is_accepted(kubectl: Kubectl, copy: str) -> None:
    answer = kubectl("apply", "--dry-run=server", "--filename", str(REPOSITORY / copy), check=False)
    assert answer.returncode == 0, answer.stderr


def test_the_smallest_manifest_is_accepted_and_comes_back_with_the_cores_defaults(
    kubectl: Kubectl, namespace: str
) -> None:
    answer = apply(kubectl, namespace, SMALLEST)
    assert answer.returncode == 0, answer.stderr
    found = stored(kubectl, namespace)
    scaler = KafkaConsumerScaler.parse(found, strict=True)
    assert scaler.policy() == Policy(max_replicas=12)
    assert found["spec"]["target"] == {"lagSeconds": 60, "activationLag": 0, "utilization": 1}
    assert found["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert (scaler.namespace, scaler.generation) == (namespace, 1)
    assert abs(scaler.created_at - time.time()) < 300


def test_a_manifest_with_every_field_is_accepted_and_comes_back_unchanged(kubectl: Kubectl, namespace: str) -> None:
    answer = apply(kubectl, namespace, SMALLEST | {"spec": FULL_SPEC})
    assert answer.returncode == 0, answer.stderr
    assert stored(kubectl, namespace)["spec"] == FULL_SPEC


def test_a_topic_pattern_is_accepted(kubectl: Kubectl, namespace: str) -> None:
    answer = apply(kubectl, namespace, with_field("topicPattern", r"orders\.(eu|us)\..+"))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.why)
def test_a_bad_manifest_is_rejected_with_a_message_that_names_the_field(
    kubectl: Kubectl, namespace: str, bad: Bad
) -> None:
    answer = apply(kubectl, namespace, with_field(bad.path, bad.value))
    assert answer.returncode == 1
    assert all(part in answer.stderr for part in bad.says), answer.stderr


@pytest.mark.parametrize("options", [(), ("--server-side",)], ids=["client-side", "server-side"])
@pytest.mark.parametrize("bad", UNKNOWN_FIELDS, ids=lambda bad: bad.why)
def test_an_unknown_field_is_rejected_by_name(
    kubectl: Kubectl, namespace: str, bad: Bad, options: tuple[str, ...]
) -> None:
    answer = apply(kubectl, namespace, with_field(bad.path, bad.value), *options)
    assert answer.returncode == 1
    name = bad.path.rpartition("/")[2]
    assert name in answer.stderr, answer.stderr
    assert "unknown field" in answer.stderr or "field not declared in schema" in answer.stderr, answer.stderr


@pytest.mark.parametrize("bad", UNKNOWN_FIELDS, ids=lambda bad: bad.why)
def test_an_unknown_field_is_not_stored_when_validation_is_switched_off(
    kubectl: Kubectl, namespace: str, bad: Bad
) -> None:
    answer = apply(kubectl, namespace, with_field(bad.path, bad.value), "--validate=false")
    assert answer.returncode == 0, answer.stderr
    assert KafkaConsumerScaler.parse(stored(kubectl, namespace), strict=True).policy() == Policy(max_replicas=12)


@pytest.mark.parametrize(
    ("number", "says"),
    [(".nan", "unsupported value: NaN"), (".inf", "unsupported value: +Inf"), ("'.nan'", "spec.target.lagSeconds")],
)
def test_a_number_that_is_none_is_rejected(kubectl: Kubectl, namespace: str, number: str, says: str) -> None:
    text = yaml.safe_dump(with_field("target/lagSeconds", "HERE")).replace("HERE", number)
    answer = kubectl("apply", "--namespace", namespace, "--filename", "-", stdin=text, check=False)
    assert answer.returncode == 1
    assert says in answer.stderr


def test_topics_and_a_pattern_together_are_rejected(kubectl: Kubectl, namespace: str) -> None:
    manifest = with_field("topics", ["orders"])
    manifest["spec"]["topicPattern"] = "orders.*"
    answer = apply(kubectl, namespace, manifest)
    assert "spec.topicPattern: Invalid value" in answer.stderr
    assert "only one of spec.topics and spec.topicPattern may be set" in answer.stderr


def test_a_pattern_that_only_python_understands_is_rejected(kubectl: Kubectl, namespace: str) -> None:
    answer = apply(kubectl, namespace, with_field("topicPattern", "(?!internal).*"))
    assert "spec.topicPattern must be a regular expression in RE2's syntax" in answer.stderr


def test_a_change_that_breaks_a_rule_is_rejected(kubectl: Kubectl, namespace: str) -> None:
    apply(kubectl, namespace, SMALLEST)
    patch = '{"spec": {"minReplicas": 13}}'
    answer = kubectl("patch", "kcs", "orders", "-n", namespace, "--type=merge", "-p", patch, check=False)
    assert "spec.minReplicas must not be greater than spec.maxReplicas" in answer.stderr


def test_an_explicit_null_means_the_default_where_there_is_one(kubectl: Kubectl, namespace: str) -> None:
    answer = apply(kubectl, namespace, with_field("minReplicas", None), "--server-side")
    assert answer.returncode == 0, answer.stderr
    assert KafkaConsumerScaler.parse(stored(kubectl, namespace)).policy() == Policy(max_replicas=12)


@pytest.mark.parametrize("path", ["topicPattern", "fallback", "target/lagPerReplica"])
def test_an_explicit_null_is_rejected_by_name_where_there_is_no_default(
    kubectl: Kubectl, namespace: str, path: str
) -> None:
    answer = apply(kubectl, namespace, with_field(path, None), "--server-side")
    assert f"spec.{path.replace('/', '.')}: Invalid value" in answer.stderr


def write_status(kubectl: Kubectl, namespace: str, status: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    patch = json.dumps([{"op": "add", "path": "/status", "value": status}])
    place = ("orders", "-n", namespace, "--subresource=status", "--type=json", "-p", patch)
    return kubectl("patch", "kcs", *place, check=False)


def test_the_status_is_stored_whole_and_the_columns_show_it(kubectl: Kubectl, namespace: str) -> None:
    apply(kubectl, namespace, SMALLEST)
    status = explained(status_of(VERDICT, 1, {}, NOW), Policy(max_replicas=12), VERDICT)
    answer = write_status(kubectl, namespace, status)
    assert answer.returncode == 0, answer.stderr
    found = stored(kubectl, namespace)["status"]
    assert found == status
    assert memory_from_status(found, NOW) == MEMORY
    header, row = kubectl("get", "kcs", "-n", namespace).stdout.splitlines()
    columns = "NAME TARGET GROUP LAG LAG-SECONDS BACKLOG REPLICAS DESIRED PARTITIONS READY AGE"
    assert header.split() == columns.split()
    assert " ".join(row.split()[:-1]) == "orders orders-consumer orders 14742 61.2 Behind 5 6 12 True"
    wide = kubectl("get", "kcs", "-n", namespace, "-o", "wide").stdout.splitlines()
    assert wide[0].split()[-5:] == ["ARRIVAL", "DRAIN", "CAPACITY", "SAFE-RATE", "QUOTA"]
    assert wide[1].split()[-3:] == ["1200", "0.031", "102"]


def test_the_safe_rate_and_the_leases_are_stored_whole_and_the_wide_columns_show_them(
    kubectl: Kubectl, namespace: str
) -> None:
    apply(kubectl, namespace, SMALLEST)
    leases = [Lease(500, NOW // 1, "cluster", client_id="web"),
              Lease(300, NOW // 1, "cluster", user="shop", previous=2**53, former=400, is_seen=True)]
    rate = SafeRate(1200.0, 120_000.0, 1300.0, 12, "12 replicas sustain it", is_learned=True)
    status = status_of(VERDICT, 1, {}, NOW) | leases_as_status(leases) | safe_rate_as_status(rate, NOW + 180)
    answer = write_status(kubectl, namespace, status)
    assert answer.returncode == 0, answer.stderr
    found = stored(kubectl, namespace)["status"]
    assert found == status
    assert leases_from_status(found) == tuple(leases)
    row = kubectl("get", "kcs", "-n", namespace, "-o", "wide").stdout.splitlines()[1]
    assert row.split()[-2:] == ["1200", "500"], "of several quotas the first"


def test_the_columns_of_a_new_resource_are_empty(kubectl: Kubectl, namespace: str) -> None:
    apply(kubectl, namespace, SMALLEST)
    row = kubectl("get", "kcs", "-n", namespace, "--no-headers").stdout.split()
    assert row[:-1] == ["orders", "orders-consumer", "orders"]


def test_a_write_of_the_resource_does_not_touch_its_status(kubectl: Kubectl, namespace: str) -> None:
    apply(kubectl, namespace, SMALLEST | {"status": {"currentReplicas": 99}})
    assert "status" not in stored(kubectl, namespace)


def test_explain_tells_what_a_field_means(kubectl: Kubectl) -> None:
    told = " ".join(kubectl("explain", "kcs.spec.target").stdout.split())
    assert "lagSeconds <number> No record waits longer than this many seconds before it is processed." in told


def test_resources_are_found_by_their_group_target_and_cluster(kubectl: Kubectl, namespace: str) -> None:
    apply(kubectl, namespace, SMALLEST)
    selectors = ("spec.consumerGroup=orders", "spec.scaleTargetRef.name=orders-consumer",
                 "spec.kafka.bootstrapServers=kafka:9092")  # fmt: skip
    for selector in selectors:
        found = kubectl("get", "kcs", "-n", namespace, "--field-selector", selector, "-o", "name").stdout
        assert found.split() == [f"kafkaconsumerscaler.{GROUP}/orders"]
    none = kubectl("get", "kcs", "-n", namespace, "--field-selector", "spec.consumerGroup=other", "-o", "name")
    assert none.stdout == ""


@pytest.mark.parametrize("way", GOOD_WAYS)
def test_every_way_to_be_admitted_is_accepted_and_read_back(kubectl: Kubectl, namespace: str, way: str) -> None:
    answer = apply(kubectl, namespace, with_field("kafka", SMALLEST["spec"]["kafka"] | GOOD_WAYS[way]))
    assert answer.returncode == 0, answer.stderr
    kafka = KafkaConsumerScaler.parse(stored(kubectl, namespace), strict=True).spec.kafka
    assert kafka == KafkaConsumerScaler.parse(
        with_field("kafka", SMALLEST["spec"]["kafka"] | GOOD_WAYS[way]), strict=True
    ).spec.kafka


@pytest.mark.parametrize("url", GOOD_ENDPOINTS)
def test_a_token_endpoint_is_accepted(kubectl: Kubectl, namespace: str, url: str) -> None:
    sasl = BY_TOKEN | {"oauth": OAUTH | {"tokenEndpoint": url}}
    answer = apply(kubectl, namespace, with_field("kafka", SMALLEST["spec"]["kafka"] | {"tls": {}, "sasl": sasl}))
    assert answer.returncode == 0, answer.stderr


def test_a_shared_connection_needs_no_servers_and_gets_the_namespaces_kind(kubectl: Kubectl, namespace: str) -> None:
    answer = apply(kubectl, namespace, with_field("kafka", {"connectionRef": {"name": "shop"}}))
    assert answer.returncode == 0, answer.stderr
    assert stored(kubectl, namespace)["spec"]["kafka"] == {"connectionRef": {"kind": "KafkaConnection", "name": "shop"}}
    without = ("get", "kcs", "-n", namespace, "--field-selector", "spec.kafka.bootstrapServers=", "-o", "name")
    assert kubectl(*without).stdout.split() == [f"kafkaconsumerscaler.{GROUP}/orders"]


@pytest.mark.parametrize(("manifest", "shown"), [
    (CONNECTION, ["kafka:9093", "SCRAM-SHA-512"]),
    (CLUSTER_CONNECTION, ["kafka:9093", "SCRAM-SHA-512", '["shop","billing"]']),
], ids=["KafkaConnection", "ClusterKafkaConnection"])  # fmt: skip
def test_connections_are_accepted_and_listed(
    kubectl: Kubectl, namespace: str, manifest: dict[str, Any], shown: list[str]
) -> None:
    """The name is that of the namespace: one of the two kinds is in none."""
    short = "kconn" if manifest is CONNECTION else "ckconn"
    answer = apply(kubectl, namespace, manifest | {"metadata": {"name": namespace}})
    assert answer.returncode == 0, answer.stderr
    try:
        place = ("-n", namespace) if manifest is CONNECTION else ()
        assert kubectl("get", short, namespace, *place, "--no-headers").stdout.split()[:-1] == [namespace, *shown]
        listed = kubectl("get", "kafka-consumer-scaler", "-n", namespace, "-o", "name").stdout
        assert f"{manifest['kind'].lower()}.{GROUP}/{namespace}" in listed
    finally:
        kubectl("delete", short, namespace, "-n", namespace)


@pytest.mark.parametrize("manifest", [CONNECTION, CLUSTER_CONNECTION], ids=lambda manifest: manifest["kind"])
@pytest.mark.parametrize("bad", BAD_CONNECTIONS, ids=lambda bad: bad.why)
def test_a_bad_connection_is_rejected_with_a_message_that_names_the_field(
    kubectl: Kubectl, namespace: str, manifest: dict[str, Any], bad: Bad
) -> None:
    answer = apply(kubectl, namespace, with_connection_field(manifest, bad.path, bad.value), "--dry-run=server")
    assert answer.returncode == 1
    assert all(part in answer.stderr for part in bad.says), answer.stderr


@pytest.mark.parametrize("bad", BAD_NAMESPACES, ids=lambda bad: bad.why)
def test_who_may_use_a_clusters_connection_must_be_said_plainly(kubectl: Kubectl, namespace: str, bad: Bad) -> None:
    manifest = with_connection_field(CLUSTER_CONNECTION, bad.path, bad.value)
    answer = apply(kubectl, namespace, manifest, "--dry-run=server")
    assert answer.returncode == 1
    assert all(part in answer.stderr for part in bad.says), answer.stderr
