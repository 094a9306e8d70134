"""The chart's values: what is refused, and that schema, defaults, comments and reference say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.charts import values_reference as reference
from tests.charts.rendering import refusal

REFUSED = [
    ("--set=replicas=1", "additional properties 'replicas' not allowed"),
    ("--set=image.registry=x", "additional properties 'registry' not allowed"),
    ("--set-string=replicaCount=1", "/replicaCount"),
    ("--set=replicaCount=-1", "/replicaCount"),
    ("--set=logLevel=loud", "/logLevel"),
    ("--set=logFormat=xml", "/logFormat"),
    ("--set=image.pullPolicy=Sometimes", "/image/pullPolicy"),
    ("--set=image.repository=", "/image/repository"),
    ("--set=service.port=0", "/service/port"),
    ("--set=watchNamespaces={Shop}", "/watchNamespaces/0"),
    ("--set=watchNamespaces={shop,shop}", "/watchNamespaces"),
    ("--set=scaleTargets[0].resource=deployments", "missing property 'apiGroup'"),
    ('--set-json=scaleTargets=[{"apiGroup":"apps","resource":"deployments/*"}]', "/scaleTargets/0/resource"),
    ("--set=serviceMonitor.interval=often", "/serviceMonitor/interval"),
    ("--set=secretAccess.namespaces={Shop}", "/secretAccess/namespaces/0"),
    ("--set=secretAccess.names={../x}", "/secretAccess/names/0"),
    ("--set=allowedBrokers[0]=kafka shop", "/allowedBrokers/0"),
    ("--set=connectionsPerNamespace=0", "/connectionsPerNamespace"),
    ("--set=debug.recordSnapshots=10001", "/debug/recordSnapshots"),
    ('--set-json=producerQuotas.allowed=[{"clientIds":["*"]}]', "missing property 'namespaces'"),
    ('--set-json=producerQuotas.allowed=[{"namespaces":["shop"],"clients":["*"]}]', "'clients' not allowed"),
    ("--set=leaderElection.leaseName=A_b", "/leaderElection/leaseName"),
    ('--set-json=topologySpreadConstraints=[{"maxSkew":1}]', "/topologySpreadConstraints/0"),
]


@pytest.mark.parametrize(("argument", "complaint"), REFUSED)
def test_a_bad_value_is_refused_with_its_name(helm_binary: Path, argument: str, complaint: str) -> None:
    assert complaint in refusal(helm_binary, argument)


def test_a_second_operator_without_an_election_is_refused_with_the_reason(helm_binary: Path) -> None:
    said = refusal(helm_binary, "--set=replicaCount=2", "--set=leaderElection.enabled=false")
    assert "replicaCount must be 0 or 1 without leaderElection.enabled: two operators would both write" in said


def test_schema_and_defaults_list_the_same_values() -> None:
    assert list(_paths(reference.schema(), reference.defaults())) == []


def test_each_comment_in_values_yaml_is_the_description_in_the_schema() -> None:
    described = dict(_descriptions(reference.schema()))
    assert {path: text for path, text in reference.comments().items() if path in described} == described


def test_the_reference_page_is_what_the_chart_says() -> None:
    assert reference.PAGE.read_text() == reference.page(), "run `python -m tests.charts.values_reference`"


def _paths(schema: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Values that only one of both has."""
    yield from (prefix + name for name in schema["properties"].keys() ^ defaults.keys())
    for name, child in schema["properties"].items():
        if "properties" in child and name in defaults:
            yield from _paths(child, defaults[name], f"{prefix}{name}.")


def _descriptions(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, child in schema["properties"].items():
        yield prefix + name, child["description"]
        if "properties" in child:
            yield from _descriptions(child, f"{prefix}{name}.")
