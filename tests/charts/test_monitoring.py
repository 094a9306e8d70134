"""The chart's dashboard, alerts and metrics, as Helm renders them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.charts.rendering import CHART, Manifest, of_kind, one, refusal, template

RULES = "--set=prometheusRule.enabled=true"
ALERTS = CHART / "alerts" / "kafka-consumer-scaler.yaml"
DASHBOARD = CHART / "dashboards" / "kafka-consumer-scaler.json"


@pytest.mark.parametrize("kind", ["ConfigMap", "PrometheusRule"])
def test_nothing_to_watch_with_is_installed_unless_asked_for(helm_binary: Path, kind: str) -> None:
    assert of_kind(template(helm_binary), kind) == []


def test_the_dashboard_is_the_file_in_a_config_map_that_grafanas_sidecar_finds(helm_binary: Path) -> None:
    made = one(template(helm_binary, "--set=dashboard.enabled=true"), "ConfigMap")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(made["data"]["kafka-consumer-scaler.json"]) == json.loads(DASHBOARD.read_text())


def test_the_dashboard_takes_the_labels_and_the_folder_of_another_sidecar(helm_binary: Path) -> None:
    words = ("--set=dashboard.labels.watch=me", "--set=dashboard.annotations.folder=Kafka")
    made = one(template(helm_binary, "--set=dashboard.enabled=true", *words), "ConfigMap")["metadata"]
    assert made["labels"]["watch"] == "me"
    assert made["annotations"] == {"folder": "Kafka"}


def test_the_rules_are_those_of_the_file(helm_binary: Path) -> None:
    made = one(template(helm_binary, RULES, "--set=prometheusRule.labels.team=x"), "PrometheusRule")
    assert made["spec"] == yaml.safe_load(ALERTS.read_text())
    assert made["metadata"]["labels"]["team"] == "x"


@pytest.mark.parametrize(("url", "page"), [
    ("https://git.example/kcs/docs/runbooks/{page}.md", "https://git.example/kcs/docs/runbooks/hot-partition.md"),
    ("https://wiki.example/{page}/?from=alert", "https://wiki.example/hot-partition/?from=alert"),
])
def test_the_links_lead_to_where_the_runbooks_are(helm_binary: Path, url: str, page: str) -> None:
    value = "--set-json=prometheusRule=" + json.dumps({"enabled": True, "runbookUrl": url})
    links = {alert["alert"]: alert["annotations"]["runbook_url"] for alert in alerts(template(helm_binary, value))}
    assert links["KafkaConsumerScalerHotPartition"] == page
    assert [link for link in links.values() if "docs/runbooks" in link and "git.example" not in link] == []


@pytest.mark.parametrize("url", ["https://wiki.example", "https://wiki.example/{page} x", "a'{page}", "{page}{page}"])
def test_a_link_without_its_page_is_refused(helm_binary: Path, url: str) -> None:
    value = "--set-json=prometheusRule=" + json.dumps({"enabled": True, "runbookUrl": url})
    assert "/prometheusRule/runbookUrl" in refusal(helm_binary, value)


@pytest.mark.parametrize("monitor", ["serviceMonitor", "podMonitor"])
def test_with_a_monitor_each_release_misses_its_own_operator(helm_binary: Path, monitor: str) -> None:
    manifests = template(helm_binary, RULES, f"--set={monitor}.enabled=true", namespace="team-a")
    (down,) = [alert for alert in alerts(manifests) if alert["alert"] == "KafkaConsumerScalerOperatorDown"]
    assert down["expr"] == 'absent(kafka_consumer_scaler_resources{namespace="team-a"})'


@pytest.mark.parametrize(("kind", "endpoints"), [
    ("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")])
def test_a_monitor_leaves_a_resource_its_namespace(helm_binary: Path, kind: str, endpoints: str) -> None:
    made = one(template(helm_binary, f"--set={kind[0].lower() + kind[1:]}.enabled=true"), kind)
    assert [endpoint["honorLabels"] for endpoint in made["spec"][endpoints]] == [True]


def test_lag_is_shown_by_partition_on_demand_only(helm_binary: Path) -> None:
    plain, asked = (variables(template(helm_binary, *words)) for words in ([], ["--set=metrics.perPartition=true"]))
    assert [each for each in asked if each not in plain] == [{"name": "KCS_METRICS_PER_PARTITION", "value": "true"}]


def alerts(manifests: list[Manifest]) -> list[Manifest]:
    return [rule for group in one(manifests, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


def variables(manifests: list[Manifest]) -> list[Manifest]:
    (only,) = one(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    found: list[Manifest] = only["env"]
    return found
