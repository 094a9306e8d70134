"""The CRD, its copies and its reference page say what the models say."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from kafka_consumer_scaler.api.crd import DEFINITIONS, Definition, as_helm_template, as_yaml, custom_resource_definition
from kafka_consumer_scaler.api.reference import fields, reference_page
from kafka_consumer_scaler.api.v1alpha1 import KafkaConsumerScaler
from kafka_consumer_scaler.cli import crd as verb
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.verdict import ConditionType
from tests.api.manifests import SMALLEST

ROOT = Path(__file__).parents[2]
VERSION: dict[str, Any] = custom_resource_definition()["spec"]["versions"][0]
PARTS: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]["properties"]
EACH = pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
COPIES = {
    "deploy/crd.yaml": [],
    "charts/kafka-consumer-scaler/templates/crd.yaml": ["--helm"],
    "docs/reference/resource.md": ["--markdown"],
}


def printed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    return parser.parse_args(["crd", *options])


@pytest.mark.parametrize("copy", COPIES)
def test_the_copy_in_the_repository_is_what_the_command_prints(copy: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = printed(*COPIES[copy])
    assert arguments.run(arguments) == 0
    command = " ".join(["kafka-consumer-scaler crd", *COPIES[copy]])
    assert (ROOT / copy).read_text() == capsys.readouterr().out, f"run: {command} > {copy}"


def test_the_forms_exclude_each_other() -> None:
    with pytest.raises(SystemExit) as caught:
        printed("--helm", "--markdown")
    assert caught.value.code == 2


def test_the_charts_template_is_the_same_documents_in_switches() -> None:
    lines = as_helm_template().splitlines(keepends=True)
    switches = [line for line in lines if "{{" in line]
    plain = list(yaml.safe_load_all("".join(line for line in lines if line not in switches)))
    assert [each["metadata"].pop("annotations") for each in plain] == [{"helm.sh/resource-policy": "keep"}] * 3
    assert plain == list(yaml.safe_load_all(as_yaml()))
    assert [re.findall(r"\.Values[.\w]+", line) for line in switches[1:]] == [
        [".Values.crd.install"], *[[".Values.crd.keep"], []] * 3, [],
    ]


def version_of(definition: Definition) -> dict[str, Any]:
    version: dict[str, Any] = definition.as_object()["spec"]["versions"][0]
    return version


def spec_of(definition: Definition) -> dict[str, Any]:
    spec: dict[str, Any] = version_of(definition)["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


@EACH
def test_the_schema_is_structural_and_free_of_noise(definition: Definition) -> None:
    forbidden = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "additionalProperties", "nullable"}
    for path, node in nodes(version_of(definition)["schema"]["openAPIV3Schema"]):
        assert not forbidden & set(node), path
        assert isinstance(node["type"], str), path


@EACH
def test_every_number_list_and_text_of_the_spec_is_bounded(definition: Definition) -> None:
    for path, node in nodes(spec_of(definition), "spec"):
        if node["type"] in ("integer", "number"):
            assert {"minimum", "maximum"} <= set(node), path
        if node["type"] == "array":
            assert "maxItems" in node, path
        if node["type"] == "string" and "enum" not in node:
            assert {"minLength", "maxLength"} <= set(node), path


def undescribed(schema: dict[str, Any], part: str) -> list[str]:
    return [path for path, field, _ in fields(schema, part) if len(field.get("description", "")) < 8]


@EACH
def test_every_field_is_described(definition: Definition) -> None:
    assert undescribed(spec_of(definition), "spec") + undescribed(PARTS["status"], "status") == []


@EACH
def test_no_reference_has_a_namespace(definition: Definition) -> None:
    named = [path for path, _, _ in fields(spec_of(definition), "spec") if "namespace" in path.lower()]
    assert named == ([] if definition.namespaced else ["spec.allowedNamespaces"])


def test_every_kind_has_a_short_name_of_its_own_and_one_category() -> None:
    names = [definition.as_object()["spec"]["names"] for definition in DEFINITIONS]
    assert [each["shortNames"] for each in names] == [["kcs"], ["kconn"], ["ckconn"]]
    assert {tuple(each["categories"]) for each in names} == {("kafka-consumer-scaler",)}


def test_only_a_clusters_connection_is_cluster_scoped() -> None:
    scopes = {definition.kind: definition.as_object()["spec"]["scope"] for definition in DEFINITIONS}
    assert [kind for kind, scope in scopes.items() if scope == "Cluster"] == ["ClusterKafkaConnection"]


def default_of(path: str) -> Any:
    schema = PARTS["spec"]
    for step in path.split("."):
        schema = schema["properties"][step]
    return schema.get("default")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("minReplicas", "min_replicas"),
        ("target.lagSeconds", "lag_seconds"),
        ("target.lagPerReplica", "lag_per_replica"),
        ("target.activationLag", "activation_lag"),
        ("target.utilization", "utilization"),
        ("recoverySeconds", "recovery_seconds"),
        ("pollingIntervalSeconds", "polling_interval_seconds"),
        ("consumerThreads", "consumer_threads"),
        ("topicPattern", "topic_pattern"),
        ("offsetReset", "offset_reset"),
        ("isolationLevel", "isolation_level"),
        ("mode", "mode"),
        ("paused", "paused"),
    ],
)
def test_the_schemas_default_is_the_cores(path: str, field: str) -> None:
    cores = {each.name: each.default for each in dataclass_fields(Policy)}
    assert default_of(path) == cores[field]


@pytest.mark.parametrize("direction", ["scaleUp", "scaleDown"])
def test_the_schemas_default_behavior_is_the_cores(direction: str) -> None:
    policy = KafkaConsumerScaler.parse(SMALLEST).policy()
    rules = policy.scale_up if direction == "scaleUp" else policy.scale_down
    names = ("stabilizationWindowSeconds", "cooldownSeconds", "tolerance", "selectPolicy")
    defaults = tuple(default_of(f"behavior.{direction}.{name}") for name in names)
    assert defaults == (
        rules.stabilization_window_seconds, rules.cooldown_seconds, rules.tolerance, rules.select_policy,
    )  # fmt: skip


@pytest.mark.parametrize(("priority", "promised"), [
    (0, "TARGET, GROUP, LAG, LAG-SECONDS, BACKLOG, REPLICAS, DESIRED, PARTITIONS, READY, AGE"),
    (1, "ARRIVAL, DRAIN, CAPACITY, SAFE-RATE, QUOTA"),
], ids=["default", "wide"])
def test_the_columns_are_those_users_were_promised(priority: int, promised: str) -> None:
    columns = VERSION["additionalPrinterColumns"]
    names = [column["name"].upper() for column in columns if column.get("priority", 0) == priority]
    assert names == promised.split(", ")
    assert re.search(rf"(prints|-o wide` also) {promised}[;.]", reference_page())


def section(definition: Definition) -> str:
    return re.split(r"^## ", reference_page(), flags=re.MULTILINE)[DEFINITIONS.index(definition) + 1]


@EACH
def test_the_reference_has_a_row_for_each_field_and_a_line_for_each_rule(definition: Definition) -> None:
    page, spec = section(definition), spec_of(definition)
    rows = [*fields(spec, "spec"), *(fields(PARTS["status"], "status") if definition.status else ())]
    for path, schema, _ in rows:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{path}` |")]
        assert row.count(" | ") == 4, row
        assert " ".join(schema["description"].split()).replace("|", "\\|") in row
    rules = [rule for _, node in nodes(spec) for rule in node.get("x-kubernetes-validations", ())]
    assert len(rules) > 10
    assert all(page.count(f"- {rule['message']}\n") == 1 for rule in rules)


@EACH
def test_columns_and_selectable_fields_lead_to_fields(definition: Definition) -> None:
    version = version_of(definition)
    known = {path for path, _, _ in [*fields(spec_of(definition), "spec"), *fields(PARTS["status"], "status")]}
    named = [each["jsonPath"] for each in version["additionalPrinterColumns"] + version["selectableFields"]]
    simple = {path.lstrip(".") for path in named if path.startswith((".spec", ".status")) and "[" not in path}
    assert len(simple) >= 2
    assert simple <= known


@pytest.mark.parametrize("word", [*Backlog, *ConditionType])
def test_the_reference_names_every_backlog_state_and_condition(word: str) -> None:
    assert word in reference_page()
